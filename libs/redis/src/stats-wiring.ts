/** Where the figures of the stats come from: one look at every capability of a configuration. */
import type { CacheService, CacheStats, FallbackCache, NearCache, ShardedCache } from './cache/index.js';
import type { RedisConfig } from './config/index.js';
import {
  escapeSegment,
  type ConnectionRegistry,
  type RedisAdapter,
  type RedisClient,
} from './connection/index.js';
import type { Clock } from './core/index.js';
import type { LockService } from './lock/index.js';
import {
  NamespaceSampler,
  serverMemory,
  StatsService,
  type CacheFigures,
  type ConnectionReport,
  type KeyPlace,
  type OwnFigures,
  type ShardsReport,
  type TasksReport,
} from './monitoring/index.js';
import type { PubSub } from './pubsub/index.js';
import type { RateLimiter } from './rate-limit/index.js';
import type { SessionService } from './session/index.js';
import type { TaskQueue } from './tasks/index.js';

/** What is looked at. */
export interface Observed {
  readonly config: RedisConfig;
  readonly clock: Clock;
  readonly registry: ConnectionRegistry;
  readonly adapter: RedisAdapter;
  readonly cache: CacheService;
  readonly fallback: FallbackCache;
  readonly sharded: ShardedCache;
  readonly limiter: RateLimiter;
  readonly sessions: SessionService;
  readonly locks: LockService;
  readonly pubsub: PubSub;
  readonly tasks: TaskQueue;
}

/** Named caches by their figures. */
interface CountedCache {
  readonly caches: ReadonlyMap<string, { stats(): CacheStats }>;
}

export function wireStats(engines: Observed, near: NearCache | undefined): StatsService {
  const { config, clock, adapter, tasks } = engines;
  const client = adapter.port;
  const sampler = new NamespaceSampler({ client, placeOf: placesBelow(config.namespace), clock });
  return new StatsService({
    clock,
    source: {
      own: () => ownFigures(engines, near),
      memory: () => sampler.read(),
      server: () => serverMemory(client),
      tasks: async (): Promise<TasksReport> =>
        tasks.inUse ? { state: 'in use', ...(await tasks.counts()) } : { state: 'idle' },
    },
  });
}

function ownFigures(engines: Observed, near: NearCache | undefined): OwnFigures {
  const { config, registry, fallback, limiter, sessions, locks, pubsub } = engines;
  return {
    namespace: config.namespace,
    caches: cachesOf(engines, near),
    l1: l1Of(near),
    fallback: { ...fallback.state, caches: figuresOf(fallback) },
    connections: Object.fromEntries(
      registry.names.map((name) => [name, connectionOf(registry.get(name).port)]),
    ),
    shards: shardsOf(engines),
    limiter: limiter.stats(),
    locks: locks.stats(),
    pubsub: pubsub.stats(),
    sessions: sessions.stats(),
  };
}

function cachesOf({ cache }: Observed, near: NearCache | undefined): OwnFigures['caches'] {
  const held = near?.tally();
  return Object.fromEntries(
    [...cache.caches].map(([name, each]) => {
      const l1 = held === undefined ? null : (held.get(escapeSegment(name)) ?? { entries: 0, bytes: 0 });
      return [name, { ...toFigures(each.stats()), l1 }];
    }),
  );
}

function l1Of(near: NearCache | undefined): OwnFigures['l1'] {
  if (near === undefined) return null;
  const { by = null, entries, doubtful, bytes, evictions } = near.stats();
  return { by, entries, doubtful, bytes, evictions };
}

function figuresOf({ caches }: CountedCache): Readonly<Record<string, CacheFigures>> {
  return Object.fromEntries([...caches].map(([name, each]) => [name, toFigures(each.stats())]));
}

function shardsOf({ sharded }: Observed): ShardsReport {
  const { current, epoch = null, shards, move = null } = sharded.status();
  const { shards: counted } = sharded.stats();
  return {
    current,
    epoch,
    move: move === null ? null : { ...move },
    shards: Object.fromEntries(
      Object.entries(shards).map(([id, { state, weight, address, slots, health }]) => {
        const stats = counted[id];
        const figures = stats === undefined ? null : toFigures(stats);
        return [id, { state, weight, address, slots, health, figures }];
      }),
    ),
    caches: figuresOf(sharded),
  };
}

function connectionOf(client: RedisClient): ConnectionReport {
  const { topology, health, since, nodes } = client.status();
  return { topology, health, since, nodes };
}

function toFigures(stats: CacheStats): CacheFigures {
  const { hitRate, l1Hits, l2Hits, fallbackHits, stale, misses } = stats;
  const { negative, loads, loadFailures, coalesced, refusedFills, unstorable, bypassed } = stats;
  const { writes, failedWrites, failures } = stats;
  return {
    hitRate,
    reads: l1Hits + l2Hits + fallbackHits + stale + misses,
    tiers: { l1: l1Hits, l2: l2Hits, fallback: fallbackHits },
    stale,
    negative,
    misses,
    loads,
    loadFailures,
    coalesced,
    refusedFills,
    unstorable,
    bypassed,
    writes,
    failedWrites,
    failures,
  };
}

/** Families of keys that belong to another one; the rest go by their own name. */
const PART_OF: Readonly<Record<string, string>> = {
  lease: 'cache',
  tag: 'cache',
  clock: 'cache',
  'express-session': 'session',
};

/** What is ours and does not count for itself. */
const CAPABILITIES: ReadonlySet<string> = new Set([
  'cache',
  'cleanup',
  'limit',
  'lock',
  'session',
  'stream',
  'tasks',
]);

/** By the beginning of a key: `<namespace>:v1:<family>:…`. */
function placesBelow(namespace: string): (key: string) => KeyPlace | undefined {
  const root = `${escapeSegment(namespace)}:v1:`;
  return (key) => (key.startsWith(root) ? placeOf(key.slice(root.length)) : undefined);
}

function placeOf(rest: string): KeyPlace {
  const [family = '', name = ''] = rest.split(':', 2);
  if (family === 'cache') return { capability: 'cache', cache: unescaped(name) };
  const whole = PART_OF[family] ?? family.replace(/-(?:\w+)$/u, '');
  return { capability: CAPABILITIES.has(whole) ? whole : 'other' };
}

function unescaped(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
