/** The configuration of one module: checked once, at boot, and not to be changed after. */
import { inspect } from 'node:util';
import type {
  CacheOptions,
  ContextResolvers,
  NamedCacheOptions,
  ResolvedFallback,
  ResolvedL1,
} from '../cache/index.js';
import type { ResolvedCleanup } from '../cleanup/index.js';
import type { CodecOptions } from '../codec/index.js';
import {
  DEFAULT_CONNECTION,
  UnknownConnectionError,
  type ClusterParams,
  type ResolvedConnection,
} from '../connection/index.js';
import type { ResolvedTasks } from '../tasks/index.js';
import type { ResolvedSession } from '../session/index.js';
import type { ResolvedHttpCache } from '../http-cache/index.js';
import type { HealthSettings, ResolvedMetrics } from '../monitoring/index.js';
import type { RateLimitOptions } from '../rate-limit/index.js';
import type { LockOptions } from '../lock/index.js';
import type { PubSubOptions } from '../pubsub/index.js';
import type { RedisModuleOptions } from '../redis.options.js';
import {
  paramsOfCluster,
  paramsOfSentinels,
  paramsOfServer,
  type ConnectionParams,
} from './driver-params.js';
import type { Env } from './environment.js';
import { loadConfig, type ConfiguredShard } from './load-config.js';
import type { Origins } from './origins.js';

/**
 * @example
 * const config = new RedisConfig({ namespace: 'shop' }); // the address from REDIS_URL
 * const client = new Redis(await config.getConnectionParams());
 * await client.connect();
 */
export class RedisConfig {
  readonly namespace: string;
  readonly defaultConnection: ResolvedConnection;
  /** The further ones, by name. */
  readonly connections: ReadonlyMap<string, ResolvedConnection>;
  /** The servers of `ShardedCache`, by id. */
  readonly shards: ReadonlyMap<string, ConfiguredShard>;
  readonly shardLeaseMs: number;
  /** `REDIS_CACHE_TTL` in milliseconds. */
  readonly cacheTtlMs: number | undefined;
  /** Options of the cache, `ttl` from the environment included. */
  readonly cache: CacheOptions;
  /** The near cache, or `false` for none. */
  readonly l1: ResolvedL1 | false;
  /** Whether each hit, save, invalidation and load is logged. */
  readonly cacheLog: boolean;
  /** How much is kept for the time Redis is away. */
  readonly fallback: ResolvedFallback;
  /** How cached values become bytes. May hold keys: not to be logged. */
  readonly codec: CodecOptions | undefined;
  /** Named caches, and what the contexts they are kept by are resolved by. */
  readonly caches: Readonly<Record<string, NamedCacheOptions>>;
  readonly contexts: ContextResolvers;
  /** Cached answers of routes. */
  readonly httpCache: ResolvedHttpCache;
  /** Options of the limiter and of the limits of routes. */
  readonly rateLimit: RateLimitOptions;
  /** `REDIS_SESSION_TTL` in milliseconds. */
  readonly sessionTtlMs: number | undefined;
  readonly session: ResolvedSession;
  readonly tasks: ResolvedTasks;
  /** Defaults of locks. */
  readonly lock: LockOptions;
  /** Defaults of messages. */
  readonly pubsub: PubSubOptions;
  readonly health: HealthSettings;
  /** Whether spans are recorded where `@opentelemetry/api` is installed. */
  readonly tracing: boolean;
  /** Whether log lines carry fields; undefined to see by the logger. */
  readonly logFields: boolean | undefined;
  readonly cleanup: ResolvedCleanup;
  /** Figures for Prometheus; `false` for none. */
  readonly metrics: ResolvedMetrics | false;
  /** Where the address was found: `'REDIS_URL'`, `'options.url'`, `'nothing: embedded'`. */
  readonly source: string;
  /** Which options were given, by the code and by the environment. */
  readonly origins: Origins;
  /** `NODE_ENV` is production. */
  readonly production: boolean;
  /** What is allowed and probably not meant, one line each, without secrets. */
  readonly warnings: readonly string[];

  /** @throws InvalidConfigError with everything that is wrong */
  constructor(options: RedisModuleOptions = {}, env: Env = process.env) {
    const loaded = loadConfig(options, env);
    this.namespace = loaded.namespace;
    this.defaultConnection = loaded.defaultConnection;
    this.connections = loaded.connections;
    this.shards = loaded.shards;
    this.shardLeaseMs = loaded.shardLeaseMs;
    this.cacheTtlMs = loaded.cacheTtlMs;
    this.cache = loaded.cache;
    this.l1 = loaded.l1;
    this.cacheLog = loaded.cacheLog;
    this.fallback = loaded.fallback;
    this.codec = loaded.codec;
    this.caches = loaded.caches;
    this.contexts = loaded.contexts;
    this.httpCache = loaded.httpCache;
    this.rateLimit = loaded.rateLimit;
    this.sessionTtlMs = loaded.sessionTtlMs;
    this.session = loaded.session;
    this.tasks = loaded.tasks;
    this.lock = loaded.lock;
    this.pubsub = loaded.pubsub;
    this.health = loaded.health;
    this.tracing = loaded.tracing;
    this.logFields = loaded.logFields;
    this.cleanup = loaded.cleanup;
    this.metrics = loaded.metrics;
    this.source = loaded.source;
    this.origins = loaded.origins;
    this.production = loaded.production;
    this.warnings = loaded.warnings;
  }

  /** From the environment alone. */
  static fromEnv(env: Env = process.env): RedisConfig {
    return new RedisConfig({}, env);
  }

  /**
   * What `new Redis(params)` of ioredis takes for a standalone server: fail-fast, so `await client.connect()`
   * before the first command. A password that is a function is asked now; ask again to follow a rotation.
   * @throws TopologyMismatchError when the connection is a cluster, behind sentinels, or embedded
   */
  async getConnectionParams(name: string = DEFAULT_CONNECTION): Promise<ConnectionParams> {
    return paramsOfServer(this.#connection(name));
  }

  /** As {@link getConnectionParams}, for `new Cluster(params.nodes, params.options)`. */
  async getClusterParams(name: string = DEFAULT_CONNECTION): Promise<ClusterParams> {
    return paramsOfCluster(this.#connection(name));
  }

  /** As {@link getConnectionParams}, for `new Redis(params)` behind sentinels. */
  async getSentinelParams(name: string = DEFAULT_CONNECTION): Promise<ConnectionParams> {
    return paramsOfSentinels(this.#connection(name));
  }

  /** Safe to log: addresses and topologies, no login. */
  toJSON(): Record<string, unknown> {
    const all = [this.defaultConnection, ...this.connections.values()];
    return {
      namespace: this.namespace,
      source: this.source,
      connections: Object.fromEntries(
        all.map(({ name, topology, addresses, db, tls }) => [
          name,
          { topology, addresses, db, tls: tls !== undefined },
        ]),
      ),
      ...(this.cacheTtlMs === undefined ? {} : { cacheTtlMs: this.cacheTtlMs }),
      ...(this.sessionTtlMs === undefined ? {} : { sessionTtlMs: this.sessionTtlMs }),
      ...(this.warnings.length === 0 ? {} : { warnings: this.warnings }),
    };
  }

  [inspect.custom](): string {
    return `RedisConfig ${inspect(this.toJSON(), { depth: 5 })}`;
  }

  #connection(name: string): ResolvedConnection {
    const found = name === DEFAULT_CONNECTION ? this.defaultConnection : this.connections.get(name);
    if (found !== undefined) return found;
    const known = [DEFAULT_CONNECTION, ...this.connections.keys()].join(', ');
    throw new UnknownConnectionError(`there is no connection '${name}', only: ${known}`, {
      hint: `add it to the options: connections: { ${name}: { url: 'redis://...' } }`,
    });
  }
}
