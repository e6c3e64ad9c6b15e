/** One cache over one connection, with its near cache in front: the same for Nest and without it. */
import { CacheService, NearCache } from './cache/index.js';
import type { RedisConfig } from './config/index.js';
import type { RedisAdapter } from './connection/index.js';

export interface WiredCache {
  readonly cache: CacheService;
  /** Ends background loads and the tracking connections; the connection itself stays with its owner. */
  close(): Promise<void>;
}

export function wireCache(config: RedisConfig, adapter: RedisAdapter): WiredCache {
  const client = adapter.port;
  const { l1, namespace, codec } = config;
  // Replicas answer with a past, so what they say may be older than an invalidation this process has seen.
  const near =
    l1 === false || config.defaultConnection.readFrom !== 'primary'
      ? undefined
      : new NearCache({ client, l1 });
  const cache = new CacheService({ client, namespace, codec, tiers: near?.tiers }, config.cache);
  return {
    cache,
    async close() {
      await cache.disconnect();
      await near?.close();
    },
  };
}
