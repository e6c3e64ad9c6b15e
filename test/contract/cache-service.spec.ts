/** The cache on embedded and on every real topology. */
import { afterAll, describe, it } from 'vitest';
import { CacheService, type CacheContract } from '@anbar/nestjs-redis/cache';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { cacheServiceContract, runContract } from '@anbar/nestjs-redis/testing';
import { ContractTable } from './contract-table.js';
import { openPlaces, openRedis, type Place } from './places.js';

const NAMESPACE = 'app';

/** An embedded store lives in its client: there, what stands for several processes shares one. */
function opener(place: Place): () => Promise<{ redis: Redis; own: boolean }> {
  if (place.name !== 'embedded') return async () => ({ redis: await openRedis(place), own: true });
  const redis = createRedis({ topology: 'embedded' }, {});
  return () => Promise.resolve({ redis, own: false });
}

const places = openPlaces();
const table = new ContractTable();

afterAll(async () => {
  table.print();
  await Promise.all(places.map((place) => place.stop()));
});

for (const place of places) {
  const open = opener(place);
  const target = {
    name: place.name,
    prefix: place.prefix,
    create: async () => {
      const { redis, own } = await open();
      const client = redis.adapter.port;
      return {
        cache: new CacheService({ client, namespace: NAMESPACE, ownsClient: own }),
        client,
        namespace: NAMESPACE,
      };
    },
    dispose: ({ cache }: { cache: CacheContract }) => cache.disconnect(),
    flushScripts: () => place.flushScripts(),
    onResult: table.add,
  };
  runContract(cacheServiceContract, target, { describe, it, after: afterAll });
}
