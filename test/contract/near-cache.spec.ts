/**
 * The contract of the cache with a near cache in front, followed by tracking and by the bus: all of it is kept. What
 * somebody else has changed may be seen one hop late, and the contract reads at once: here a change settles when that
 * hop is over. Nothing else is tolerated, and what a cache has changed itself it sees at once without that.
 */
import { afterAll, describe, it } from 'vitest';
import {
  CacheService,
  NearCache,
  resolveL1,
  type CacheContract,
  type L1Sync,
} from '@anbar/nestjs-redis/cache';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { cacheServiceContract, runContract } from '@anbar/nestjs-redis/testing';
import { until } from '../topology/index.js';
import { ContractTable } from './contract-table.js';
import { OneHop } from './one-hop.js';
import { openPlaces, openRedis, type Place } from './places.js';

const NAMESPACE = 'near';
/** Embedded, Redis and its listeners are one process: there the bus has nothing to show that a server does not. */
const SYNCS: Readonly<Record<string, readonly L1Sync[]>> = {
  embedded: ['tracking'],
  standalone: ['tracking', 'bus'],
};

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

function nearCache({ adapter }: Redis, sync: L1Sync): NearCache {
  // Copies, because the contract compares prototypes too: those of a frozen Map or Date are guarded ones.
  const l1 = resolveL1({ sync, isolation: 'copy' });
  if (l1 === false) throw new Error('it is on');
  return new NearCache({ client: adapter.port, l1 });
}

for (const place of places) {
  for (const sync of SYNCS[place.name] ?? []) {
    const open = opener(place);
    const hops = new OneHop();
    const target = {
      name: `${place.name} ${sync}`,
      prefix: place.prefix,
      create: async () => {
        const { redis, own } = await open();
        const client = redis.adapter.port;
        const near = nearCache(redis, sync);
        const namespace = `${NAMESPACE}-${sync}`;
        const cache = new CacheService({ client, namespace, ownsClient: own, tiers: near.tiers });
        near.start();
        await until(() => near.stats().by === sync, { what: sync });
        return { cache: await hops.join(cache, near), client: hops.from(client), namespace };
      },
      dispose: async ({ cache }: { cache: CacheContract }) => {
        await hops.leave(cache);
        await cache.disconnect();
      },
      flushScripts: () => place.flushScripts(),
      onResult: table.add,
    };
    runContract(cacheServiceContract, target, { describe, it, after: afterAll });
  }
}
