/** What `RedisModule.forRoot`, `forRootAsync` and `createRedis` take: one object, everything optional. */
import type {
  CacheOptions,
  ContextResolvers,
  FallbackOptions,
  L1Options,
  NamedCacheOptions,
  ShardOptions,
} from './cache/index.js';
import type { CleanupOptions } from './cleanup/index.js';
import type { CodecOptions } from './codec/index.js';
import type { ConnectionOptions } from './connection/index.js';
import type { Duration } from './core/index.js';
import type { LockOptions } from './lock/index.js';
import type { PubSubOptions } from './pubsub/index.js';
import type { HttpCacheOptions } from './http-cache/index.js';
import type { RateLimitOptions } from './rate-limit/index.js';
import type { TaskOptions } from './tasks/index.js';
import type { SessionOptions } from './session/index.js';
import type { HealthOptions, MetricsOptions } from './monitoring/index.js';

/** Options of `CacheService`, and of the copies it keeps in this process. */
export interface CacheModuleOptions extends Omit<CacheOptions, 'codec'> {
  /** The near cache in this process, kept in step with Redis; `false` for none. See docs/near-cache.md. */
  l1?: L1Options | false | undefined;
  /**
   * Log lines for each hit (level `verbose`) and for each save, invalidation and load (level `debug`), with the
   * time it took and a mark in place of the key. @default false
   */
  log?: boolean | undefined;
}

export interface RedisModuleOptions extends ConnectionOptions {
  /**
   * First segment of every key this package makes up, so that several applications may share a server.
   * @default 'app'
   */
  namespace?: string;
  /**
   * Further connections by name: `@InjectRedis('reports')` or `redis.connection('reports')`. Each stands on its
   * own and inherits nothing.
   */
  connections?: Readonly<Record<string, ConnectionOptions>>;
  /**
   * The servers of `ShardedCache`, by ids that never change: `{ a: { url, weight: 2 }, b: { url } }`. Each stands on
   * its own, as under `connections`. See docs/sharding.md.
   * @default one shard on the default connection
   */
  shards?: Readonly<Record<string, ShardOptions>>;
  /** How long a process that the shards do not hear of may go on by the topology it knows. @default '2s' */
  shardLease?: Duration;
  cache?: CacheModuleOptions;
  /** Named caches: their options, and the contexts they are kept by. See docs/cacheable.md. */
  caches?: Readonly<Record<string, NamedCacheOptions>>;
  /** Who or what a call is for, by name: `{ tenant: (request) => … }`. See docs/cacheable.md. */
  contexts?: ContextResolvers;
  /** Cached answers of routes: whose they are, what clients may ask for. See docs/http-cache.md. */
  httpCache?: HttpCacheOptions;
  /** How much `FallbackCache` keeps for the time Redis is away. See docs/fallback.md. */
  fallback?: FallbackOptions;
  /** How cached values become bytes: serializer, compression, encryption. See docs/codec.md. */
  codec?: CodecOptions;
  /** What happens without Redis, trusted proxies, headers, limits of all routes. See docs/rate-limit.md. */
  rateLimit?: RateLimitOptions;
  /** Sessions: how long they last, how many a user may have, their cookie. See docs/sessions.md. */
  session?: SessionOptions;
  /** Defaults of locks: `ttl`, `wait`, `order`. See docs/locks.md. */
  lock?: LockOptions;
  /** Defaults of messages, and what holds for single channels. See docs/pubsub.md. */
  pubsub?: Omit<PubSubOptions, 'codec'>;
  /** Work done later: attempts, pauses, how many at once. See docs/tasks.md. */
  tasks?: TaskOptions;
  /** How often, and how fast, keys nobody needs are ended; `false` for only by hand. See docs/cleanup.md. */
  cleanup?: CleanupOptions | false;
  /** How Redis' health is asked for. See docs/health.md. */
  health?: HealthOptions;
  /**
   * Spans of loads, invalidations, limits, tasks and messages by `@opentelemetry/api`, where that is installed; they
   * are recorded for the whole process. See docs/logs-and-traces.md. @default true
   */
  tracing?: boolean;
  /**
   * Log lines carry what they say as fields too, which loggers that write JSON put beside the text.
   * @default whether Nest's own logger writes JSON
   */
  logFields?: boolean;
  /** Figures for Prometheus: their prefix, groups and bounds; `false` for none. See docs/metrics.md. */
  metrics?: MetricsOptions | false;
}
