/** The composition root without Nest: for scripts, workers and tests. */
import { RedisConfig, type Env } from './config/index.js';
import type { NativeRedis, RedisAdapter } from './connection/index.js';
import { Engines } from './engines.js';
import type { StatsReport } from './monitoring/index.js';
import type { RedisModuleOptions } from './redis.options.js';

/** Capabilities, over the default connection where nothing else is said. */
type Capabilities = Pick<
  Engines,
  | 'config'
  | 'adapter'
  | 'cache'
  | 'fallback'
  | 'sharded'
  | 'limiter'
  | 'sessions'
  | 'locks'
  | 'pubsub'
  | 'tasks'
  | 'health'
  | 'metrics'
  | 'cleanup'
>;

export interface Redis extends Capabilities {
  /** A connection by its name under `connections`. */
  connection(name: string): RedisAdapter<NativeRedis>;
  /** What was counted so far, and what is asked for within a deadline. See docs/stats.md. */
  stats(): Promise<StatsReport>;
  /** Settles when every connection serves; rejects when one does not in time, though it goes on trying. */
  connect(): Promise<void>;
  /** Lets calls in flight finish, settles the rest, closes everything. */
  disconnect(): Promise<void>;
}

/**
 * ```ts
 * const redis = createRedis();        // REDIS_URL, or embedded
 * await redis.connect();
 * await redis.adapter.set('greeting', { hello: 'world' }, '1m');
 * await redis.disconnect();
 * ```
 */
export function createRedis(options: RedisModuleOptions = {}, env?: Env): Redis {
  const engines = new Engines(new RedisConfig(options, env));
  const { config, adapter, cache, fallback, sharded, limiter, sessions, locks, pubsub, tasks } = engines;
  const { health, metrics, cleanup } = engines;
  return {
    config,
    adapter,
    cache,
    fallback,
    sharded,
    limiter,
    sessions,
    locks,
    pubsub,
    tasks,
    health,
    metrics,
    cleanup,
    connection: (name) => engines.registry.get(name),
    stats: () => engines.stats.report(),
    connect: () => engines.connect(),
    disconnect: () => engines.close(),
  };
}
