/**
 * The near cache (L1) of one namespace, put together: one memory and one set of tag clocks for all its caches,
 * so that the bounds are those of the process, and one tracking of what Redis changes. See docs/near-cache.md.
 *
 * ```ts
 * const near = new NearCache({ client, l1 });
 * const cache = new CacheService({ client, namespace: 'app', tiers: near.tiers });
 * ```
 */
import type { RedisClient } from '../../connection/index.js';
import { systemClock, type Clock } from '../../core/index.js';
import { L1Tracking, type L1TrackingStatus } from './l1-tracking.js';
import type { Isolation, ResolvedL1 } from './l1.options.js';
import { MemoryStore, type MemoryStats, type MemoryTally } from './memory-store.js';
import type { L1Summary } from '../cache-stats.js';
import type { CacheEntry, Store } from '../store.js';
import type { TagClocks } from '../tag-clocks.js';
import { TieredStore } from './tiered-store.js';
import { TrackedTags } from './tracked-tags.js';

export interface NearCacheOptions {
  readonly client: RedisClient;
  readonly l1: ResolvedL1;
  readonly clock?: Clock | undefined;
}

/** A cache without L1. */
export interface NearBase {
  readonly keys: {
    readonly tracked: { readonly values: string; readonly clocks: string };
    /** Channel of the bus. */
    readonly bus?: string;
  };
  readonly store: Store;
  readonly clocks: TagClocks;
}

export interface L1Stats extends MemoryStats, L1TrackingStatus {
  /** Tag clocks held. */
  readonly clocks: number;
}

/** A cache with L1. */
export interface NearTiers {
  readonly store: Store;
  readonly clocks: TagClocks;
  readonly isolation: Isolation;
  stats(): L1Summary;
}

interface Parts {
  readonly tracking: L1Tracking;
  readonly tags: TrackedTags;
}

export class NearCache {
  readonly #client: RedisClient;
  readonly #clock: Clock;
  readonly #l1: ResolvedL1;
  readonly #memory: MemoryStore<CacheEntry>;
  #parts: Parts | undefined;
  /** Of the beginning that keys of all values have in common. */
  #headLength = 0;

  constructor({ client, l1, clock = systemClock }: NearCacheOptions) {
    this.#client = client;
    this.#clock = clock;
    this.#l1 = l1;
    this.#memory = new MemoryStore(l1, clock);
  }

  /** Puts L1 in front of a cache; all caches have to be of one namespace. */
  readonly tiers = ({ keys, store, clocks }: NearBase): NearTiers => {
    const { tracking, tags } = (this.#parts ??= this.#begin(keys));
    const [memory, clock] = [this.#memory, this.#clock];
    const tiered = new TieredStore(store, { tracking, memory, clock });
    const { isolation } = this.#l1;
    return { store: tiered, clocks: tags.over(clocks), isolation, stats: () => this.stats() };
  };

  /** Begins to follow Redis at once; otherwise the first read does. */
  start(): void {
    this.#parts?.tracking.start();
  }

  stats(): L1Stats {
    const { tracking, tags } = this.#parts ?? {};
    const idle: L1TrackingStatus = {
      state: 'lost',
      reason: 'not started',
      by: undefined,
      interruptions: 0,
    };
    return { ...this.#memory.stats(), ...(tracking?.status() ?? idle), clocks: tags?.size ?? 0 };
  }

  /** What is held, by cache; names are as they stand in keys. */
  tally(): ReadonlyMap<string, MemoryTally> {
    const head = this.#headLength;
    return this.#memory.tally((key) => key.slice(head, key.indexOf(':', head)));
  }

  /** Caches go on without L1. */
  async close(): Promise<void> {
    await this.#parts?.tracking.close();
  }

  #begin({ tracked: { values, clocks }, bus }: NearBase['keys']): Parts {
    const memory = this.#memory;
    this.#headLength = values.length;
    const { sync, busTtlMs } = this.#l1;
    const tracking = new L1Tracking(this.#client, {
      prefixes: [values, clocks],
      sync,
      channel: bus,
      onSource: (source) => {
        const lifeMs = source === 'bus' ? busTtlMs : Infinity;
        memory.limitLife(lifeMs);
        tags.limitLife(lifeMs);
      },
      clock: this.#clock,
    });
    const tags = new TrackedTags({ tracking, prefix: clocks, clock: this.#clock });
    tracking.follow({
      prefix: values,
      invalidate: (key) => memory.invalidate(key),
      invalidateAll: () => memory.invalidateAll(),
      doubt: () => memory.doubt(),
    });
    return { tracking, tags };
  }
}
