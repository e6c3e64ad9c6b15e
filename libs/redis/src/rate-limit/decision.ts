/** What the limiter answers. */
import type { TakeState } from './take.scripts.js';
import type { LimitAlgorithm, ResolvedLimit } from './limit.options.js';

/**
 * Who decided: Redis, or this process by tokens it took before (`lease`), by a denial it remembers (`denial`), on
 * its own while Redis is away (`local`), or nobody, by `onStoreError` (`open`, `closed`).
 */
export type DecisionSource = 'store' | 'lease' | 'denial' | 'local' | 'open' | 'closed';

export interface LimitState {
  readonly name: string;
  readonly algorithm: LimitAlgorithm;
  readonly limit: number;
  readonly windowMs: number;
  /** Whether this one of the limits let it pass; a shadow always does. */
  readonly passed: boolean;
  /** It would have denied, were it not for `shadow`. */
  readonly shadowDenied: boolean;
  /** Denied by `penalty`. */
  readonly penalized: boolean;
  /** How much more would pass now. */
  readonly remaining: number;
  /** Milliseconds until the same would pass: 0 when it did, `Infinity` for never. Exact to the microsecond. */
  readonly retryAfterMs: number;
  /** Milliseconds until more remains than now; 0 when all of it does. */
  readonly moreAfterMs: number;
  /** Milliseconds until all of it is back. */
  readonly resetAfterMs: number;
  /** It takes no part in what clients are told. */
  readonly shadow: boolean;
}

export interface RateDecision {
  readonly allowed: boolean;
  readonly source: DecisionSource;
  /** In the order they were given; none of those that nobody could look at. */
  readonly limits: readonly LimitState[];
  /** Names of the limits that denied. */
  readonly violated: readonly string[];
  /** 0 when allowed, `Infinity` for never, else the longest wait of those that denied. */
  readonly retryAfterMs: number;
  /** Gives held places of `'concurrency'` limits back; to be called once the work is done, whatever became of it. */
  release(): Promise<void>;
}

/** A place may come free at any moment, and nobody knows when: the time after which asking again makes sense. */
const PLACE_RETRY_MS = 1_000;

const nothingHeld = (): Promise<void> => Promise.resolve();

export function stateOf(limit: ResolvedLimit, state: TakeState): LimitState {
  const denied = state.verdict === 'denied' || state.verdict === 'penalized';
  const more = state.verdict === 'passed' ? state.wait / 1_000 : 0;
  return {
    name: limit.name,
    algorithm: limit.algorithm,
    limit: limit.limit,
    windowMs: limit.windowMs,
    passed: !denied,
    shadowDenied: state.verdict === 'shadowed',
    penalized: state.verdict === 'penalized',
    remaining: state.remaining,
    retryAfterMs: state.verdict === 'passed' ? 0 : waitOf(limit, state),
    moreAfterMs: denied ? waitOf(limit, state) : more,
    resetAfterMs: state.reset / 1_000,
    shadow: limit.shadow,
  };
}

function waitOf(limit: ResolvedLimit, { wait }: TakeState): number {
  if (wait < 0) return Infinity;
  return limit.code === 'c' && wait === 0 ? PLACE_RETRY_MS : wait / 1_000;
}

export interface DecisionParts {
  readonly limits: readonly LimitState[];
  readonly source: DecisionSource;
  readonly release?: (() => Promise<void>) | undefined;
}

const NONE: readonly string[] = [];

export function decide({ limits, source, release = nothingHeld }: DecisionParts): RateDecision {
  let violated: string[] | undefined;
  let retryAfterMs = 0;
  for (const state of limits) {
    if (state.passed) continue;
    (violated ??= []).push(state.name);
    retryAfterMs = Math.max(retryAfterMs, state.retryAfterMs);
  }
  const allowed = violated === undefined;
  return { allowed, source, limits, violated: violated ?? NONE, retryAfterMs, release };
}

/** `onStoreError: 'closed'`: nobody looked, so there is nothing to tell but to come again. */
export function refuseUnseen(names: readonly string[], retryAfterMs: number): RateDecision {
  return {
    allowed: false,
    source: 'closed',
    limits: [],
    violated: names,
    retryAfterMs,
    release: nothingHeld,
  };
}
