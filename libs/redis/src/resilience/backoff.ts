/**
 * How long to wait before the next try. Always random: callers that failed together would otherwise come
 * back together, and the second wave is what keeps a server down that could have recovered.
 */

/** A number from 0 (included) to 1 (excluded), as `Math.random` gives it. */
export type Random = () => number;

/** Milliseconds to wait; what it counts is said by the function that makes it. */
export type Backoff = (count: number) => number;

export interface BackoffRange {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * For retries of a call: anywhere between 0 and `min(maxMs, baseMs * 2^retry)`, where the first retry is 0.
 * The full range spreads load best and a call has no time to give away.
 */
export function fullJitter(range: BackoffRange, random: Random = Math.random): Backoff {
  return (retry) => random() * ceiling(range, retry);
}

/**
 * For reconnects and for the time a breaker stays open: from half to all of `min(maxMs, baseMs * 2^(n-1))`,
 * where the first failure is 1. Unlike {@link fullJitter} it never comes back at once, because there nobody
 * waits for the answer and hammering is what is to be avoided.
 */
export function equalJitter(range: BackoffRange, random: Random = Math.random): Backoff {
  return (failures) => {
    const full = ceiling(range, failures - 1);
    return full / 2 + (random() * full) / 2;
  };
}

/** The exponent is capped, for `0 * 2^1024` is not 0 but NaN. */
function ceiling({ baseMs, maxMs }: BackoffRange, exponent: number): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(Math.max(exponent, 0), 50));
}
