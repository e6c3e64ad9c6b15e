/** A cache with a fallback keeps what the cache keeps: on every topology, and with no Redis at all. */
import { afterAll, describe, expect, it } from 'vitest';
import { FallbackCache } from '@anbar/nestjs-redis/cache';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { cacheServiceContract, runContract } from '@anbar/nestjs-redis/testing';
import { ContractTable } from './contract-table.js';
import { openPlaces, openRedis, type Place } from './places.js';

const NAMESPACE = 'app';
const contract = { ...cacheServiceContract, name: 'FallbackCache' };

interface Subject {
  readonly cache: FallbackCache;
  readonly client: Redis['adapter']['port'];
  readonly namespace: string;
}

/** A keyspace in this process; what stands for several processes may share it. */
const keyspace = (): Subject['client'] => createRedis({ topology: 'embedded' }, {}).adapter.port;

/** Embedded, nothing has to stand in. */
function opener(place: Place): () => Promise<Subject> {
  if (place.name === 'embedded') {
    const client = keyspace();
    return () =>
      Promise.resolve({
        cache: new FallbackCache({ client, namespace: NAMESPACE }),
        client,
        namespace: NAMESPACE,
      });
  }
  return async () => {
    const { adapter } = await openRedis(place);
    const surroundings = { client: adapter.port, namespace: NAMESPACE, ownsClient: true };
    return {
      cache: new FallbackCache({ ...surroundings, standby: keyspace() }),
      client: adapter.port,
      namespace: NAMESPACE,
    };
  };
}

/** Nothing listens on that port, and each cache waits to its deadline for somebody who does. */
function nowhere(): () => Promise<Subject> {
  const standby = keyspace();
  return async () => {
    const { adapter } = createRedis({ host: '127.0.0.1', port: 1, connectTimeout: '20ms' }, {});
    const surroundings = { client: adapter.port, namespace: NAMESPACE, ownsClient: true };
    const cache = new FallbackCache({ ...surroundings, standby, ownsStandby: false });
    await cache.connect();
    expect(cache.state.mode).toBe('fallback');
    return { cache, client: standby, namespace: NAMESPACE };
  };
}

const places = openPlaces();
const table = new ContractTable();

afterAll(async () => {
  table.print();
  await Promise.all(places.map((place) => place.stop()));
});

function run(name: string, prefix: string, create: () => Promise<Subject>, place?: Place): void {
  const target = {
    name,
    prefix,
    create,
    dispose: ({ cache }: { cache: { disconnect(): Promise<void> } }) => cache.disconnect(),
    flushScripts: () => place?.flushScripts() ?? Promise.resolve(),
    onResult: table.add,
  };
  runContract(contract, target, { describe, it, after: afterAll });
}

for (const place of places) run(place.name, place.prefix, opener(place), place);
run('no Redis', '', nowhere());
