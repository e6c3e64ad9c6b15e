/** One cache over one connection, with its near cache in front: the same for Nest and without it. */
import { CacheService, FallbackCache, NearCache, type ShardedCache } from './cache/index.js';
import type { RedisConfig } from './config/index.js';
import { createClient, resolveConnection, type RedisAdapter, type RedisClient } from './connection/index.js';
import { wireSharded } from './sharded-wiring.js';
import type { Surroundings } from './surroundings.js';

export interface WiredCache {
  readonly cache: CacheService;
  readonly fallback: FallbackCache;
  readonly sharded: ShardedCache;
  /** Those of the shards by their ids, which are its own and not for use. */
  readonly shardClients: ReadonlyMap<string, RedisClient>;
  /** What `cache` and `fallback` keep in this process. */
  readonly near: NearCache | undefined;
  /** What stands in for Redis in this process, if anything does. */
  readonly standby: RedisClient | undefined;
  /** Ends background loads and the tracking connections; the connection itself stays with its owner. */
  close(): Promise<void>;
}

export function wireCache(config: RedisConfig, adapter: RedisAdapter, world: Surroundings = {}): WiredCache {
  const client = adapter.port;
  const { l1, namespace, codec } = config;
  const { clock, random } = world;
  // Replicas answer with a past, so what they say may be older than an invalidation this process has seen.
  const near =
    l1 === false || config.defaultConnection.readFrom !== 'primary'
      ? undefined
      : new NearCache({ client, l1, ...(clock && { clock }) });
  const surroundings = { client, namespace, codec, clock, random, tiers: near?.tiers };
  const cache = new CacheService(surroundings, config.cache);
  const { journal } = config.fallback;
  const standby = standbyFor(config, world);
  const fallback = new FallbackCache({ ...surroundings, standby, journal }, config.cache);
  const { sharded, clients: shardClients } = wireSharded(config, adapter, world);
  return {
    cache,
    fallback,
    sharded,
    shardClients,
    near,
    standby,
    async close() {
      await Promise.all([cache.disconnect(), fallback.disconnect(), sharded.disconnect()]);
      await near?.close();
    },
  };
}

/** A keyspace of its own; a cache that is in this process already needs none, unless it can be made to fail. */
function standbyFor(
  { defaultConnection, fallback }: RedisConfig,
  { clock, wrap }: Surroundings,
): RedisClient | undefined {
  if (defaultConnection.topology === 'embedded' && wrap === undefined) return undefined;
  const { maxEntries, maxBytes } = fallback;
  const embedded = { maxEntries, maxBytes };
  return createClient(resolveConnection('standby', { topology: 'embedded', embedded }, []), { clock });
}
