/** Who takes part in the cache bench: each set up as its own documentation recommends, over the same server. */
import { createRequire } from 'node:module';
import { createRedis } from '@anbar/nestjs-redis';

export const KEYS = 1_000;
export const TTL = '1h';
export const TTL_MS = 3_600_000;

/** The very driver the library runs on. */
const { Redis } = createRequire(new URL('../libs/redis/package.json', import.meta.url))('ioredis');

/** 1 KB as an application has it: a few fields, one of them a text. */
export function book(id) {
  return {
    id,
    title: `Volume ${id}`,
    price: 1295 + id,
    tags: ['print', 'linen', 'letterpress'],
    inStock: id % 3 !== 0,
    description: 'Set by hand, printed slowly, bound in linen. '.repeat(20),
  };
}

/** The rivals are installed apart from the project. */
export async function loadRivals() {
  try {
    const [bento, bentoMemory, bentoRedis, cacheable, manager, keyv, keyvRedis, lru, ioredis5] =
      await Promise.all([
        import('bentocache'),
        import('bentocache/drivers/memory'),
        import('bentocache/drivers/redis'),
        import('cacheable'),
        import('cache-manager'),
        import('keyv'),
        import('@keyv/redis'),
        import('lru-cache'),
        import('ioredis'),
      ]);
    return {
      BentoCache: bento.BentoCache,
      bentostore: bento.bentostore,
      memoryDriver: bentoMemory.memoryDriver,
      redisDriver: bentoRedis.redisDriver,
      redisBusDriver: bentoRedis.redisBusDriver,
      Cacheable: cacheable.Cacheable,
      CacheableMemory: cacheable.CacheableMemory,
      createCache: manager.createCache,
      Keyv: keyv.Keyv,
      KeyvRedis: keyvRedis.default,
      LRUCache: lru.LRUCache,
      Redis5: ioredis5.Redis,
    };
  } catch (error) {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    return undefined;
  }
}

/** The namespaces keep the contestants out of each other's keys. */
export function ours(url, namespace, options = {}) {
  return createRedis({ url, timeout: '5s', namespace, ...options }, {});
}

export function bareDrivers(url) {
  return { plain: new Redis(url), auto: new Redis(url, { enableAutoPipelining: true }) };
}

export function openBento(rivals, url, { l1, l2, bus, maxItems = 200_000 }) {
  const { hostname: host, port } = new URL(url);
  const connection = { host, port: Number(port) };
  let store = rivals.bentostore();
  if (l1) store = store.useL1Layer(rivals.memoryDriver({ maxItems }));
  if (l2) store = store.useL2Layer(rivals.redisDriver({ connection }));
  if (bus) store = store.useBus(rivals.redisBusDriver({ connection }));
  return new rivals.BentoCache({
    default: 'only',
    prefix: `bento-${l1 ? 1 : 0}${l2 ? 2 : 0}${bus ? 'b' : ''}`,
    ttl: TTL,
    stores: { only: store },
  });
}

export function openCacheable(rivals, url, tiers) {
  const redis = () => new rivals.Keyv({ store: new rivals.KeyvRedis(url), namespace: `cacheable-${tiers}` });
  if (tiers === 'l2') return new rivals.Cacheable({ primary: redis(), ttl: TTL });
  return new rivals.Cacheable({ secondary: redis(), ttl: TTL });
}

export function openManager(rivals, url, tier) {
  const store =
    tier === 'l1'
      ? new rivals.Keyv({ store: new rivals.CacheableMemory({ lruSize: 200_000 }) })
      : new rivals.Keyv({ store: new rivals.KeyvRedis(url), namespace: 'manager' });
  return rivals.createCache({ stores: [store], ttl: TTL_MS });
}
