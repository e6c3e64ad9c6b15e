/** One named cache put together: store, clocks, fence, reader and loads over a client. */
import { createCodec, type Codec, type CodecOptions } from '../codec/index.js';
import type { RedisClient } from '../connection/index.js';
import { systemClock, type Clock } from '../core/index.js';
import { CacheKeys } from './cache.keys.js';
import type { ResolvedCache } from './cache.options.js';
import { CacheCounters, type L1Summary } from './cache-stats.js';
import { Fence } from './fence.js';
import type { Isolation } from './l1/l1.options.js';
import { LoadSharing, type Remint } from './l1/l1-sharing.js';
import { LoadSlots } from './loading/load-slots.js';
import { Loads, type LoadsParts } from './loading/loads.js';
import { Reader } from './reader.js';
import { RedisStore } from './redis-store.js';
import type { Store } from './store.js';
import { Structures } from './structures.js';
import { RedisTagClocks, SeenClock, type TagClocks } from './tag-clocks.js';
import { WakeCalls } from './loading/wake-calls.js';

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
  /** What they hold in this process. */
  stats?(): L1Summary;
  /** How those who share a load are kept apart. @default 'copy' */
  readonly isolation?: Isolation;
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
  /** It belongs to a cache of several, which tells of invalidations itself: one call is one event. @default false */
  readonly isPart?: boolean | undefined;
  /** The cap on loads that a cache of that name has in common with those beside it. @default one of its own */
  readonly slotsOf?: ((name: string) => LoadSlots) | undefined;
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
  l1Stats(): L1Summary | undefined;
  /** Lets loads under way finish for that long; no others begin. */
  drain(forMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface EnginePlan {
  readonly name: string;
  readonly settings: ResolvedCache;
  readonly slots: LoadSlots;
  report: LoadsParts['report'];
}

/** Those who wait elsewhere ask about a failure within this time. */
const LEAST_FAILURE_MS = 2_000;

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
    keepFailureMs: Math.max(settings.retryAfterMs, LEAST_FAILURE_MS),
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
  const sharing = new LoadSharing(tiers.isolation ?? 'copy', remintBy(codec, keys));
  const loads = new Loads({
    cache: name,
    sharing,
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
    l1Stats: () => tiers.stats?.(),
    drain: (forMs) => loads.drain(forMs),
    close: async () => {
      await loads.close();
      fence.close();
      wakes.close();
      tiers.close?.();
    },
  };
}

/** By way of the codec, where that needs no waiting: what another process would get. */
function remintBy(codec: Codec, keys: CacheKeys): Remint {
  const context = { namespace: keys.namespace, key: keys.valuePrefix };
  return (value) => {
    try {
      const bytes = codec.encode(value, context);
      const decoded = bytes instanceof Promise ? undefined : codec.decode(bytes, context);
      return decoded === undefined || decoded instanceof Promise || !decoded.ok ? undefined : decoded.value;
    } catch {
      return undefined;
    }
  };
}
