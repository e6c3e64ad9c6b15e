/** The contract of pub/sub, on every real topology and on the embedded default. */
import { afterAll } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { PubSub } from '@anbar/nestjs-redis/pubsub';
import { pubSubContract, runContract } from '@anbar/nestjs-redis/testing';
import { ContractTable } from './contract-table.js';
import { openPlaces, openRedis, type Place } from './places.js';
import { sideBySide } from './side-by-side.js';

const NAMESPACE = 'app';

interface Opened {
  readonly redis: Redis;
  /** An embedded store lives in its client: there, what stands for several processes shares one. */
  readonly own: boolean;
}

function opener(place: Place): () => Promise<Opened> {
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

sideBySide((runner) => {
  for (const place of places) {
    const open = opener(place);
    const owned = new Map<PubSub, Redis>();
    const target = {
      name: place.name,
      prefix: place.prefix.replaceAll(':', '-'),
      create: async () => {
        const { redis, own } = await open();
        const client = redis.adapter.port;
        const pubsub = new PubSub({ client, namespace: NAMESPACE });
        if (own) owned.set(pubsub, redis);
        return { pubsub, client, namespace: NAMESPACE };
      },
      dispose: async ({ pubsub }: { pubsub: PubSub }) => {
        await pubsub.disconnect();
        await owned.get(pubsub)?.disconnect();
      },
      flushScripts: () => place.flushScripts(),
      onResult: table.add,
    };
    runContract(pubSubContract, target, runner);
  }
});
