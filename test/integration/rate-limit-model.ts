/**
 * What the algorithms should say, written the other way round and in numbers without an end: a bucket that is
 * filled instead of a moment at which it is full, a search for the first moment that fits instead of a formula.
 */

export interface Said {
  readonly allowed: boolean;
  readonly remaining: bigint;
  /** Microseconds; 0 when allowed. */
  readonly retryAfter: bigint;
}

export interface Model {
  take(now: bigint, cost: bigint): Said;
}

/** A bucket of `capacity` that gains one every `interval` microseconds. */
export class BucketModel implements Model {
  readonly #interval: bigint;
  readonly #capacity: bigint;
  #at: bigint | undefined;
  /** In millionths of what one token is: what has flowed in, in microseconds. */
  #level: bigint;

  constructor(interval: bigint, capacity: bigint) {
    this.#interval = interval;
    this.#capacity = capacity;
    this.#level = interval * capacity;
  }

  take(now: bigint, cost: bigint): Said {
    const full = this.#interval * this.#capacity;
    const level = this.#level + now - (this.#at ?? now);
    this.#level = level < full ? level : full;
    this.#at = now;
    const wanted = this.#interval * cost;
    const allowed = wanted <= this.#level;
    if (allowed) this.#level -= wanted;
    return {
      allowed,
      remaining: this.#level / this.#interval,
      retryAfter: allowed ? 0n : wanted - this.#level,
    };
  }
}

/** Counters of all windows there ever were; of the last one as much as a window ending now still covers. */
export class TwoWindowModel implements Model {
  readonly #window: bigint;
  readonly #limit: bigint;
  readonly #counts = new Map<bigint, bigint>();

  constructor(windowMs: bigint, limit: bigint) {
    this.#window = windowMs;
    this.#limit = limit;
  }

  take(now: bigint, cost: bigint): Said {
    const ms = now / 1_000n;
    const allowed = this.#used(ms) + cost <= this.#limit;
    const index = ms / this.#window;
    if (allowed) this.#counts.set(index, (this.#counts.get(index) ?? 0n) + cost);
    const left = this.#limit - this.#used(ms);
    return {
      allowed,
      remaining: left > 0n ? left : 0n,
      retryAfter: allowed ? 0n : this.#firstFit(ms, cost) * 1_000n - now,
    };
  }

  #used(ms: bigint): bigint {
    const index = ms / this.#window;
    const last = (this.#counts.get(index - 1n) ?? 0n) * ((index + 1n) * this.#window - ms);
    return (this.#counts.get(index) ?? 0n) + (last + this.#window - 1n) / this.#window;
  }

  /** What is used only falls as time goes on, so half of the way can be left out each time. */
  #firstFit(ms: bigint, cost: bigint): bigint {
    let [early, late] = [ms, ms + 2n * this.#window];
    while (late - early > 1n) {
      const middle = (early + late) / 2n;
      if (this.#used(middle) + cost <= this.#limit) late = middle;
      else early = middle;
    }
    return late;
  }
}

export interface Admission {
  readonly at: number;
  readonly cost: number;
}

/**
 * The largest excess over `capacity + ceil(T / interval)` in any window [first, last] between two admissions;
 * 0 or less when the bound holds.
 */
export function worstExcess(log: readonly Admission[], capacity: number, interval: number): number {
  let worst = -Infinity;
  const sorted = log.toSorted((a, b) => a.at - b.at);
  for (const [i, first] of sorted.entries()) {
    let sum = 0;
    for (let j = i; j < sorted.length; j += 1) {
      const last = sorted[j];
      if (last === undefined) break;
      sum += last.cost;
      worst = Math.max(worst, sum - capacity - Math.ceil((last.at - first.at) / interval));
    }
  }
  return worst;
}

const LIMITS = [1, 2, 3, 5, 7, 10, 13, 60, 100, 1_000, 9_999, 1_000_000];
const WINDOWS = ['1s', '2s', '10s', '1m', '7m', '1h', '1d', '7d', '30d'] as const;

export interface RatePair {
  readonly limit: number;
  readonly window: (typeof WINDOWS)[number];
}

export const RATE_PAIRS: readonly RatePair[] = LIMITS.flatMap((limit) =>
  WINDOWS.map((window) => ({ limit, window })),
);
