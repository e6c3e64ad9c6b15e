/**
 * Deadline, retry and breaker around any piece of work, for loaders and for callers of the package.
 *
 * The breaker sees every try, the retry sees the breaker's refusals, the deadline is one for all tries.
 */
import {
  DeadlineExceededError,
  parsePositiveDuration,
  systemClock,
  withDeadline,
  type Clock,
  type Duration,
} from '../core/index.js';
import { fullJitter, type Random } from './backoff.js';
import { CircuitBreaker, REFUSED, type BreakerChange } from './circuit-breaker.js';
import { resolveBreaker, type BreakerOptions } from './circuit-breaker.options.js';
import { classifyUnknownWork, sparingRefusals, type Classify } from './failure.js';
import { RetryBudget } from './retry-budget.js';
import { resolveRetry, type ResolvedRetry, type RetryOptions } from './retry.options.js';
import { retry, type RetryNotice } from './retry.js';

export interface PolicyOptions {
  /** What errors name. @default 'policy' */
  name?: string;
  /** Total time for a run, retries included; `false` for none. @default '10s' */
  timeout?: Duration | false;
  retry?: RetryOptions | false;
  breaker?: BreakerOptions | false;
  /** What a failure means. @default every failure counts, and what the work did before it is unknown */
  classify?: Classify;
  onBreakerChange?: (change: BreakerChange) => void;
  onRetry?: (notice: RetryNotice) => void;
  clock?: Clock;
  random?: Random;
}

/** What the work of one try gets. */
export interface Attempt {
  /** The first one is 1. */
  readonly attempt: number;
  /** Aborts when this try is given up; no other run shares it. */
  readonly signal: AbortSignal;
}

export interface PolicyRun {
  /** The caller's own; when it aborts, the run rejects at once and the breaker does not count it. */
  signal?: AbortSignal | undefined;
  /** Whether running the work twice is the same as once; only then is it tried again. @default false */
  idempotent?: boolean | undefined;
}

type Work<T> = (attempt: Attempt) => Promise<T>;

export const POLICY_DEFAULTS = { name: 'policy', timeout: '10s' } as const;

/** The first try of a policy's life has nothing to go by; after that each success moves this by a fifth. */
const EXPECTATION_WEIGHT = 0.2;

/**
 * @example
 * const origin = new Policy({ name: 'books', timeout: '2s', breaker: { consecutiveFailures: 3 } });
 * const books = await origin.run(({ signal }) => fetchBooks({ signal }), { idempotent: true });
 */
export class Policy {
  /** For its state and for `isolate()`; `undefined` when turned off. */
  readonly breaker: CircuitBreaker | undefined;
  readonly #name: string;
  readonly #timeoutMs: number;
  readonly #retry: ResolvedRetry | undefined;
  readonly #budget: RetryBudget | undefined;
  readonly #classify: Classify;
  readonly #onRetry: ((notice: RetryNotice) => void) | undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  #expectedMs: number | undefined;

  constructor(options: PolicyOptions = {}) {
    const { timeout = POLICY_DEFAULTS.timeout, clock = systemClock, random = Math.random } = options;
    this.#name = options.name ?? POLICY_DEFAULTS.name;
    this.#timeoutMs =
      timeout === false ? Number.POSITIVE_INFINITY : parsePositiveDuration(timeout, 'policy.timeout');
    this.#retry = options.retry === false ? undefined : resolveRetry(options.retry);
    this.#budget =
      this.#retry === undefined ? undefined : new RetryBudget({ ratio: this.#retry.budget }, clock);
    this.breaker =
      options.breaker === false
        ? undefined
        : new CircuitBreaker(resolveBreaker(options.breaker), {
            clock,
            random,
            onChange: options.onBreakerChange,
          });
    this.#classify = sparingRefusals(options.classify ?? classifyUnknownWork);
    this.#onRetry = options.onRetry;
    this.#clock = clock;
    this.#random = random;
  }

  /** Runs `work`; settles within the timeout whatever it does. */
  run<T>(work: Work<T>, options: PolicyRun = {}): Promise<T> {
    const { signal, idempotent = false } = options;
    const deadlineAt = this.#clock.now() + this.#timeoutMs;
    const limits = this.#retry ?? { attempts: 1, baseDelayMs: 0, maxDelayMs: 0 };
    let failed: unknown;
    return retry((attempt) => this.#tryOnce(work, { attempt, deadlineAt, signal, failed }), {
      attempts: limits.attempts,
      backoff: fullJitter({ baseMs: limits.baseDelayMs, maxMs: limits.maxDelayMs }, this.#random),
      budget: this.#budget,
      classify: this.#classify,
      idempotent,
      deadlineAt,
      expectedMs: this.#expectedMs,
      clock: this.#clock,
      signal,
      onRetry: (notice) => {
        failed = notice.error;
        this.#onRetry?.(notice);
      },
    });
  }

  async #tryOnce<T>(work: Work<T>, call: Call): Promise<T> {
    const permit = this.breaker?.acquire() ?? 0;
    if (permit === REFUSED && this.breaker !== undefined) throw this.breaker.refusal(this.#name, call.failed);
    const startedAt = this.#clock.now();
    try {
      const value = await withDeadline((signal) => work({ attempt: call.attempt, signal }), {
        timeoutMs: call.deadlineAt - startedAt,
        what: this.#name,
        signal: call.signal,
        clock: this.#clock,
        onTimeout: () => this.#timedOut(),
      });
      this.#succeeded(permit, this.#clock.now() - startedAt);
      return value;
    } catch (error) {
      this.#failed(permit, error, call.signal);
      throw error;
    }
  }

  #succeeded(permit: number, durationMs: number): void {
    const expected = this.#expectedMs ?? durationMs;
    this.#expectedMs = expected + (durationMs - expected) * EXPECTATION_WEIGHT;
    this.breaker?.success(permit, durationMs);
  }

  #failed(permit: number, error: unknown, signal: AbortSignal | undefined): void {
    const counts = signal?.aborted !== true && this.#classify(error).counts;
    if (counts) this.breaker?.failure(permit);
    else this.breaker?.ignore(permit);
  }

  /** Names the whole time, not what was left of it for the last try. */
  #timedOut(): DeadlineExceededError {
    return new DeadlineExceededError(`${this.#name}: no answer within ${this.#timeoutMs} ms`, {
      hint: 'the work may still be running; raise the timeout if it is meant to take this long',
      details: { timeoutMs: this.#timeoutMs },
    });
  }
}

interface Call {
  readonly attempt: number;
  readonly deadlineAt: number;
  readonly signal: AbortSignal | undefined;
  /** The failure of the try before, to be told with a refusal. */
  readonly failed: unknown;
}
