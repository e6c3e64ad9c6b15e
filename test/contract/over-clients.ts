/** Runs the contract of what stands on nothing but a client: in every place, each case over a client of its own. */
import { afterAll } from 'vitest';
import type { RedisClient } from '@anbar/nestjs-redis/connection';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { runContract, type Contract } from '@anbar/nestjs-redis/testing';
import { ContractTable } from './contract-table.js';
import { openPlaces, openRedis, type Place } from './places.js';
import { sideBySide } from './side-by-side.js';

export const NAMESPACE = 'app';

interface Opened {
  readonly redis: Redis;
  /** An embedded store lives in its client: there, what stands for several processes shares one. */
  readonly own: boolean;
}

interface Making<Subject> {
  readonly make: (client: RedisClient) => Subject;
  readonly close: (subject: Subject) => Promise<void>;
}

function opener(place: Place): () => Promise<Opened> {
  if (place.name !== 'embedded') return async () => ({ redis: await openRedis(place), own: true });
  const redis = createRedis({ topology: 'embedded' }, {});
  return () => Promise.resolve({ redis, own: false });
}

export function runOverClients<Subject extends object>(
  contract: Contract<Subject>,
  { make, close }: Making<Subject>,
): void {
  const places = openPlaces();
  const table = new ContractTable();
  afterAll(async () => {
    table.print();
    await Promise.all(places.map((place) => place.stop()));
  });
  sideBySide((runner) => {
    for (const place of places) {
      const open = opener(place);
      const owned = new Map<Subject, Redis>();
      const target = {
        name: place.name,
        prefix: place.prefix.replaceAll(':', '-'),
        create: async () => {
          const { redis, own } = await open();
          const subject = make(redis.adapter.port);
          if (own) owned.set(subject, redis);
          return subject;
        },
        dispose: async (subject: Subject) => {
          await close(subject);
          await owned.get(subject)?.disconnect();
        },
        flushScripts: () => place.flushScripts(),
        onResult: table.add,
      };
      runContract(contract, target, runner);
    }
  });
}
