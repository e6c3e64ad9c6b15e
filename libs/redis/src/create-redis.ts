/** The composition root without Nest: for scripts, workers and tests. */
import type { CacheService } from './cache/index.js';
import { wireCache } from './cache-wiring.js';
import { RedisConfig, type Env } from './config/index.js';
import { ConnectionRegistry, type NativeRedis, type RedisAdapter } from './connection/index.js';
import type { RedisModuleOptions } from './redis.options.js';

export interface Redis {
  readonly config: RedisConfig;
  /** The default connection. */
  readonly adapter: RedisAdapter<NativeRedis>;
  /** The cache on the default connection. */
  readonly cache: CacheService;
  /** A connection by its name under `connections`. */
  connection(name: string): RedisAdapter<NativeRedis>;
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
  const config = new RedisConfig(options, env);
  const registry = new ConnectionRegistry([config.defaultConnection, ...config.connections.values()]);
  const adapter = registry.get();
  const wired = wireCache(config, adapter);
  return {
    config,
    adapter,
    cache: wired.cache,
    connection: (name) => registry.get(name),
    connect: () => registry.connect(),
    async disconnect() {
      await wired.close();
      await registry.disconnect();
    },
  };
}
