/** Plain counters, read when somebody asks. */
import type { CacheOutcome } from './call.options.js';

export interface CacheStats {
  /** Answers out of the memory of this process. */
  readonly l1Hits: number;
  /** Answers out of Redis. */
  readonly l2Hits: number;
  /** Answers out of what a `FallbackCache` holds for the time Redis is away. */
  readonly fallbackHits: number;
  /** Answers past their `ttl`, served while or because a load was under way or had failed. */
  readonly stale: number;
  /** Hits on "there is nothing", counted with the hits too. */
  readonly negative: number;
  readonly misses: number;
  /** Loaders run. */
  readonly loads: number;
  readonly loadFailures: number;
  /** Calls answered by a load that was under way already. */
  readonly coalesced: number;
  /** Loaded values that were invalidated while they were loaded, and not stored. */
  readonly refusedFills: number;
  /** Loaded values that can not be stored: too large, or of a kind the codec does not know. */
  readonly unstorable: number;
  /** Loads that Redis never saw, because it failed. */
  readonly bypassed: number;
  /** Values stored, by `set` or after a load. */
  readonly writes: number;
  /** Values that were not stored because of an error, ignored or not. */
  readonly failedWrites: number;
  /** Calls to Redis that failed and were done without. */
  readonly failures: number;
  /** Hits, stale ones included, by all reads; 0 before the first. */
  readonly hitRate: number;
}

/** What a near cache holds for all caches of its namespace. */
export interface L1Summary {
  /** What it hears changes by; undefined while it does not, and nothing is served. */
  readonly by: 'tracking' | 'bus' | undefined;
  readonly entries: number;
  /** Kept for when Redis does not answer. */
  readonly doubtful: number;
  readonly bytes: number;
  readonly evictions: number;
}

export interface CacheServiceStats extends CacheStats {
  /** Undefined without a near cache. */
  readonly l1: L1Summary | undefined;
}

type Counter = Exclude<keyof CacheStats, 'hitRate'>;

export class CacheCounters {
  readonly #counts: Record<Counter, number> = {
    l1Hits: 0,
    l2Hits: 0,
    fallbackHits: 0,
    stale: 0,
    negative: 0,
    misses: 0,
    loads: 0,
    loadFailures: 0,
    coalesced: 0,
    refusedFills: 0,
    unstorable: 0,
    bypassed: 0,
    writes: 0,
    failedWrites: 0,
    failures: 0,
  };

  add(counter: Counter, count = 1): void {
    this.#counts[counter] += count;
  }

  /** Counts what a read found; loads count themselves. */
  answered(outcome: CacheOutcome): void {
    if (outcome === 'l1') this.#counts.l1Hits += 1;
    else if (outcome === 'l2') this.#counts.l2Hits += 1;
    else if (outcome === 'fallback') this.#counts.fallbackHits += 1;
    else if (outcome === 'stale') this.#counts.stale += 1;
    else if (outcome === 'negative') this.#counts.negative += 1;
  }

  snapshot(): CacheStats {
    const counts = this.#counts;
    const hits = counts.l1Hits + counts.l2Hits + counts.fallbackHits + counts.stale;
    const reads = hits + counts.misses;
    return { ...counts, hitRate: reads === 0 ? 0 : hits / reads };
  }
}
