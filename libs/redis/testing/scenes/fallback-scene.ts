/** A cache with a fallback over a client that fails as its test says, and eyes that look past that client. */
import {
  CacheService,
  FallbackCache,
  type CacheOptions,
  type FallbackSurroundings,
} from '../../src/cache/index.js';
import { createClient, resolveConnection, type RedisClient } from '../../src/connection/index.js';
import type { Clock } from '../../src/core/index.js';

export interface FallbackScene<Client extends RedisClient> {
  readonly cache: FallbackCache;
  readonly client: Client;
  readonly standby: RedisClient;
  /** What stands in Redis, by somebody else's eyes. */
  readonly other: CacheService;
}

/** What `wrap` makes of an embedded server is what the cache takes for Redis. */
export function openFallback<Client extends RedisClient>(
  wrap: (inner: RedisClient) => Client,
  options: CacheOptions = {},
  more: Partial<FallbackSurroundings> = {},
): FallbackScene<Client> {
  const [inner, standby] = [embeddedRedis(more.clock), embeddedRedis(more.clock)];
  const client = wrap(inner);
  const cache = new FallbackCache(
    { client, standby, namespace: 'app', ownsClient: true, ...more },
    { jitter: 0, earlyRefresh: false, ...options },
  );
  const other = new CacheService({ client: inner, namespace: 'app', clock: more.clock }, { jitter: 0 });
  return { cache, client, standby, other };
}

export function embeddedRedis(clock?: Clock): RedisClient {
  const connection = resolveConnection('redis', { topology: 'embedded' }, []);
  return createClient(connection, clock === undefined ? {} : { clock });
}
