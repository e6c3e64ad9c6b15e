/** One named cache put together: store, clocks, fence, reader and loads over a client. */
import { createCodec, type Codec, type CodecOptions } from '../codec/index.js';
import type { RedisClient } from '../connection/index.js';
import { systemClock, type Clock } from '../core/index.js';
import { CacheKeys } from './cache.keys.js';
import type { ResolvedCache } from './cache.options.js';
import { CacheCounters } from './cache-stats.js';
import { Fence } from './fence.js';
import { LoadSlots } from './load-slots.js';
import { Loads, type LoadsParts } from './loads.js';
import { Reader } from './reader.js';
import { RedisStore } from './redis-store.js';
import type { Store } from './store.js';
import { Structures } from './structures.js';
import { RedisTagClocks, SeenClock, type TagClocks } from './tag-clocks.js';
import { WakeCalls } from './wake-calls.js';

/** What a near cache is put in front of. */
export interface TierBase {
  readonly name: string;
  readonly keys: CacheKeys;
  readonly store: Store;
  readonly clocks: TagClocks;
}

export interface Tiers {
  readonly store: Store;
  readonly clocks: TagClocks;
  close?(): void;
}

export interface CacheSurroundings {
  readonly client: RedisClient;
  /** First segment of every key. */
  readonly namespace: string;
  /** For caches that name none of their own. */
  readonly codec?: CodecOptions | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
  /** Puts further tiers in front of Redis: a near cache, and clocks held in this process. */
  readonly tiers?: ((base: TierBase) => Tiers) | undefined;
  /** `disconnect()` closes the client too. @default false */
  readonly ownsClient?: boolean | undefined;
}

export interface CacheEngine {
  readonly name: string;
  readonly client: RedisClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: ResolvedCache;
  readonly keys: CacheKeys;
  readonly codec: Codec;
  readonly store: Store;
  readonly clocks: TagClocks;
  readonly fence: Fence;
  readonly reader: Reader;
  readonly loads: Loads;
  readonly slots: LoadSlots;
  readonly structures: Structures;
  readonly counters: CacheCounters;
  close(drainMs: number): Promise<void>;
}

export interface EnginePlan {
  readonly name: string;
  readonly settings: ResolvedCache;
  readonly slots: LoadSlots;
  report: LoadsParts['report'];
}

export function createEngine(surroundings: CacheSurroundings, plan: EnginePlan): CacheEngine {
  const { client, clock = systemClock, random = Math.random } = surroundings;
  const { name, settings, slots, report } = plan;
  const keys = new CacheKeys(surroundings.namespace, name);
  const codec = createCodec(settings.codec ?? surroundings.codec, clock);
  const seen = new SeenClock();
  const remoteClocks = new RedisTagClocks(client, seen);
  const redisStore = new RedisStore({
    client,
    keys,
    codec,
    schema: settings.schema,
    wallNow: () => clock.wallNow(),
  });
  const tiers: Tiers = surroundings.tiers?.({ name, keys, store: redisStore, clocks: remoteClocks }) ?? {
    store: redisStore,
    clocks: remoteClocks,
  };
  const { store, clocks } = tiers;
  const fence = new Fence({ client, keys, seen, clocks: remoteClocks, held: clocks });
  const reader = new Reader(store, clocks, keys);
  const wakes = new WakeCalls(client, keys.wakeHome, clock);
  const counters = new CacheCounters();
  const loads = new Loads({
    store,
    reader,
    fence,
    keys,
    wakes,
    counters,
    settings,
    slots,
    clock,
    random,
    report,
  });
  return {
    name,
    client,
    clock,
    random,
    settings,
    keys,
    codec,
    store,
    clocks,
    fence,
    reader,
    loads,
    slots,
    structures: new Structures({ client, keys, codec }),
    counters,
    close: async (drainMs) => {
      await loads.close(drainMs);
      wakes.close();
      tiers.close?.();
    },
  };
}
