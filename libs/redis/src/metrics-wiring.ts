/** Where the figures of each capability come from, so that the metrics know none of them. */
import type { CacheService, CacheStats, FallbackCache, ShardedCache } from './cache/index.js';
import type { ConnectionRegistry, RedisClient, Topology } from './connection/index.js';
import type { LockService } from './lock/index.js';
import {
  eventSources,
  RedisMetrics,
  type MetricSource,
  type ResolvedMetrics,
  type Snapshot,
  UNREADABLE_REASONS,
} from './monitoring/index.js';
import type { PubSub } from './pubsub/index.js';
import type { RateLimiter } from './rate-limit/index.js';
import type { TaskQueue } from './tasks/index.js';

interface Measured {
  readonly config: {
    readonly metrics: ResolvedMetrics | false;
    readonly defaultConnection: { readonly topology: Topology };
  };
  readonly registry: ConnectionRegistry;
  readonly cache: CacheService;
  readonly fallback: FallbackCache;
  readonly sharded: ShardedCache;
  readonly limiter: RateLimiter;
  readonly locks: LockService;
  readonly pubsub: PubSub;
  readonly tasks: TaskQueue;
}

type Kind = 'cache' | 'fallback' | 'sharded';

const SLOTS = 16_384;
const TASK_STATES = ['waiting', 'delayed', 'active', 'completed', 'failed'] as const;
const LIMIT_SOURCES = ['store', 'lease', 'denial', 'local', 'open', 'closed'] as const;

export function wireMetrics(engines: Measured): RedisMetrics {
  const { registry, config } = engines;
  const clients = registry.names.map((name): RedisClient => registry.get(name).port);
  return new RedisMetrics({
    settings: config.metrics,
    sources: [
      ...eventSources(clients),
      ...cacheSources(engines),
      fallbackSource(engines.fallback),
      shardSource(engines.sharded),
      ...serviceSources(engines),
      buildSource(config.defaultConnection.topology),
    ],
  });
}

/** Each service with the caches it was asked for so far. */
function cacheSources({ cache, fallback, sharded }: Measured): MetricSource[] {
  const all = (count: (kind: Kind, name: string, stats: CacheStats) => void): void => {
    for (const [name, each] of cache.caches) count('cache', name, each.stats());
    for (const [name, each] of fallback.caches) count('fallback', name, each.stats());
    for (const [name, each] of sharded.caches) count('sharded', name, each.stats());
  };
  return [
    { group: 'cache', collect: (snapshot) => all((...each) => countCalls(snapshot, ...each)) },
    { group: 'loader', collect: (snapshot) => all((...each) => countLoads(snapshot, ...each)) },
    { group: 'l1', collect: (snapshot) => countNear(snapshot, cache) },
    { group: 'codec', collect: (snapshot) => countCodecs(snapshot, cache) },
  ];
}

function countCalls(snapshot: Snapshot, kind: Kind, cache: string, stats: CacheStats): void {
  const reads = (outcome: 'l1' | 'l2' | 'fallback' | 'stale' | 'miss', count: number): void =>
    snapshot.total('cache_requests_total', { cache, kind, outcome }, count);
  reads('l1', stats.l1Hits);
  reads('l2', stats.l2Hits);
  reads('fallback', stats.fallbackHits);
  reads('stale', stats.stale);
  reads('miss', stats.misses);
  snapshot.total('cache_negative_hits_total', { cache, kind }, stats.negative);
  snapshot.total('cache_writes_total', { cache, kind, outcome: 'ok' }, stats.writes);
  snapshot.total('cache_writes_total', { cache, kind, outcome: 'error' }, stats.failedWrites);
  snapshot.total('cache_failures_total', { cache, kind }, stats.failures);
}

function countLoads(snapshot: Snapshot, kind: Kind, cache: string, stats: CacheStats): void {
  const { loads, loadFailures } = stats;
  snapshot.total('cache_loads_total', { cache, kind, outcome: 'ok' }, loads - loadFailures);
  snapshot.total('cache_loads_total', { cache, kind, outcome: 'error' }, loadFailures);
  snapshot.total('cache_coalesced_total', { cache, kind }, stats.coalesced);
  snapshot.total('cache_refused_fills_total', { cache, kind }, stats.refusedFills);
  snapshot.total('cache_unstorable_total', { cache, kind }, stats.unstorable);
  snapshot.total('cache_bypassed_total', { cache, kind }, stats.bypassed);
}

function countNear(snapshot: Snapshot, cache: CacheService): void {
  const { l1 } = cache.stats();
  if (l1 === undefined) return;
  snapshot.gauge('l1_entries', {}, l1.entries);
  snapshot.gauge('l1_doubtful_entries', {}, l1.doubtful);
  snapshot.gauge('l1_bytes', {}, l1.bytes);
  snapshot.total('l1_evictions_total', {}, l1.evictions);
  snapshot.gauge('l1_source', { by: l1.by ?? 'none' }, 1);
}

/** Of `CacheService`: what can not be read counts as a miss, and why is known to the codec alone. */
function countCodecs(snapshot: Snapshot, { caches }: CacheService): void {
  for (const cache of caches.values()) {
    const { misses, decodedByKey, decodedPlaintext } = cache.codecStats();
    snapshot.total('codec_plaintext_total', {}, decodedPlaintext);
    for (const [reason, count] of Object.entries(misses)) {
      const known = UNREADABLE_REASONS.find((each) => each === reason) ?? 'other';
      snapshot.total('codec_unreadable_total', { reason: known }, count);
    }
    for (const [id, count] of Object.entries(decodedByKey))
      snapshot.total('codec_decrypted_total', { key_id: id }, count);
  }
}

function fallbackSource(fallback: FallbackCache): MetricSource {
  return {
    group: 'resilience',
    listen: (meter) => fallback.onStateChange(({ to }) => meter.count('fallback_changes_total', { to })),
    collect(snapshot) {
      const { mode, journal, overflowed } = fallback.state;
      snapshot.gauge('fallback_mode', { mode }, 1);
      snapshot.gauge('fallback_journal_entries', {}, journal);
      snapshot.gauge('fallback_journal_overflowed', {}, overflowed ? 1 : 0);
    },
  };
}

function shardSource(sharded: ShardedCache): MetricSource {
  return {
    group: 'shards',
    listen: (meter) =>
      sharded.onChange((event) => {
        if (event.name === 'topology' || event.name === 'warning') return;
        meter.count('shard_events_total', { shard: event.shard, event: event.name });
      }),
    collect(snapshot) {
      const { epoch, shards } = sharded.status();
      // Until it takes part in the fleet nothing is known; whoever uses no shards never does.
      if (epoch === undefined) return;
      for (const [shard, { state, health, slots }] of Object.entries(shards)) {
        snapshot.gauge('shard_up', { shard }, state !== 'out' && health !== 'down' ? 1 : 0);
        snapshot.gauge('shard_slots_share', { shard }, slots / SLOTS);
      }
      for (const each of sharded.caches.values()) {
        for (const [shard, stats] of Object.entries(each.stats().shards)) {
          const hits = stats.l1Hits + stats.l2Hits + stats.fallbackHits + stats.stale;
          snapshot.total('shard_requests_total', { shard, outcome: 'hit' }, hits);
          snapshot.total('shard_requests_total', { shard, outcome: 'miss' }, stats.misses);
        }
      }
    },
  };
}

function serviceSources({ limiter, locks, pubsub, tasks }: Measured): MetricSource[] {
  return [
    { group: 'ratelimit', collect: (snapshot) => countLimiter(snapshot, limiter) },
    {
      group: 'lock',
      collect(snapshot) {
        const { held, waiting } = locks.stats();
        snapshot.gauge('locks_held', {}, held);
        snapshot.gauge('locks_waiting', {}, waiting);
      },
    },
    {
      group: 'pubsub',
      collect(snapshot) {
        const { listeners, published } = pubsub.stats();
        snapshot.gauge('pubsub_listeners', {}, listeners);
        snapshot.total('pubsub_published_total', {}, published);
      },
    },
    {
      group: 'tasks',
      async collect(snapshot) {
        // To ask for the figures must not make a connection that nobody has use for.
        if (!tasks.inUse) return;
        const counts = await tasks.counts();
        for (const state of TASK_STATES) snapshot.gauge('tasks_queued', { state }, counts[state]);
      },
    },
  ];
}

function countLimiter(snapshot: Snapshot, limiter: RateLimiter): void {
  const { bySource, allowedWithoutStore, placesLost } = limiter.stats();
  for (const source of LIMIT_SOURCES) snapshot.total('ratelimit_sources_total', { source }, bySource[source]);
  snapshot.total('ratelimit_allowed_without_store_total', {}, allowedWithoutStore);
  snapshot.total('ratelimit_places_lost_total', {}, placesLost);
}

function buildSource(topology: Topology): MetricSource {
  return {
    group: 'meta',
    collect: (snapshot) => snapshot.gauge('build_info', { node: process.versions.node, topology }, 1),
  };
}
