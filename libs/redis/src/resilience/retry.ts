/**
 * Tries again, when that is safe, allowed and of use: safe by what is known of the failed try, allowed by
 * the node's budget, of use only while there is time left for an answer.
 */
import { sleep, withDeadline, type Clock } from '../core/index.js';
import type { Backoff } from './backoff.js';
import type { Classify } from './failure.js';
import type { RetryBudget } from './retry-budget.js';

export interface RetryNotice {
  /** The try that failed; the first one is 1. */
  readonly attempt: number;
  readonly delayMs: number;
  readonly error: unknown;
}

export interface RetryRun {
  /** Tries, the first one included. */
  readonly attempts: number;
  /** Asked with 0 before the first retry. */
  readonly backoff: Backoff;
  readonly budget?: RetryBudget | undefined;
  readonly classify: Classify;
  /** Whether carrying it out twice is the same as once. */
  readonly idempotent: boolean;
  /** On the clock's monotonic scale; `Infinity` for none. */
  readonly deadlineAt: number;
  /** How long a try takes as a rule: a retry that cannot be answered in time is not begun. @default 0 */
  readonly expectedMs?: number | undefined;
  readonly clock: Clock;
  /** Ends the wait at once, also while a try is under way. */
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((notice: RetryNotice) => void) | undefined;
}

/**
 * The first success, or the error of the last try. The try under way at the deadline is not cut off here:
 * `work` bounds itself, as `Policy` and the connections do.
 */
export async function retry<T>(work: (attempt: number) => Promise<T>, run: RetryRun): Promise<T> {
  run.budget?.onCall();
  for (let attempt = 1; ; attempt += 1) {
    try {
      const value = await attemptOnce(() => work(attempt), run);
      run.budget?.onSuccess();
      return value;
    } catch (error) {
      const delayMs = delayBeforeRetry(error, attempt, run);
      if (delayMs === undefined) throw error;
      run.onRetry?.({ attempt, delayMs, error });
      await sleep(delayMs, { clock: run.clock, signal: run.signal });
      // A busy event loop wakes a sleeper late; by now the answer may be of no use.
      if (!hasTimeFor(0, run)) throw error;
    }
  }
}

function attemptOnce<T>(work: () => Promise<T>, { signal, clock }: RetryRun): Promise<T> {
  if (signal === undefined) return work();
  return withDeadline(work, { timeoutMs: Number.POSITIVE_INFINITY, what: 'retry', signal, clock });
}

/** The budget is asked last, so that only a retry which will be made costs a token. */
function delayBeforeRetry(error: unknown, attempt: number, run: RetryRun): number | undefined {
  if (attempt >= run.attempts || run.signal?.aborted === true) return undefined;
  const failure = run.classify(error);
  if (!failure.retryable) return undefined;
  if (failure.executed === 'unknown' && !run.idempotent) return undefined;
  const delayMs = run.backoff(attempt - 1);
  if (!hasTimeFor(delayMs, run)) return undefined;
  if (run.budget?.tryTake() === false) return undefined;
  return delayMs;
}

function hasTimeFor(delayMs: number, { clock, deadlineAt, expectedMs = 0 }: RetryRun): boolean {
  return clock.now() + delayMs + expectedMs <= deadlineAt;
}
