/** The limiter on embedded and on every real topology. */
import { afterAll, describe, it } from 'vitest';
import { createRedis, RateLimiter, type Redis } from '@anbar/nestjs-redis';
import { rateLimiterContract, runContract, type RateLimitSubject } from '@anbar/nestjs-redis/testing';
import { ContractTable } from './contract-table.js';
import { openPlaces, openRedis, type Place } from './places.js';

const NAMESPACE = 'app';

/** An embedded store lives in its client: there, what stands for several processes shares one. */
function opener(place: Place): () => Promise<Redis> {
  if (place.name !== 'embedded') return () => openRedis(place);
  const redis = createRedis({ topology: 'embedded' }, {});
  return () => Promise.resolve(redis);
}

const places = openPlaces();
const table = new ContractTable();
const closing: (() => Promise<void>)[] = [];

afterAll(async () => {
  table.print();
  await Promise.all(closing.map((close) => close()));
  await Promise.all(places.map((place) => place.stop()));
});

for (const place of places) {
  const open = opener(place);
  const target = {
    name: place.name,
    prefix: place.prefix,
    create: async (): Promise<RateLimitSubject> => {
      const redis = await open();
      closing.push(() => redis.disconnect());
      const client = redis.adapter.port;
      return { limiter: new RateLimiter({ client, namespace: NAMESPACE }), client, namespace: NAMESPACE };
    },
    dispose: ({ limiter }: RateLimitSubject) => limiter.close(),
    flushScripts: () => place.flushScripts(),
    onResult: table.add,
  };
  runContract(rateLimiterContract, target, { describe, it, after: afterAll });
}
