/** `ShardedCache` keeps the contract of `CacheService`: on one, three and eight shards, in this process and on servers. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { resolveL1, ShardedCache } from '@anbar/nestjs-redis/cache';
import {
  createClient,
  resolveConnection,
  type Arg,
  type CallOptions,
  type RedisClient,
} from '@anbar/nestjs-redis/connection';
import { cacheServiceContract, runContract, type Contract } from '@anbar/nestjs-redis/testing';
import { startShards, type Shards } from '../topology/index.js';
import { ContractTable } from './contract-table.js';

type CacheSubject = typeof cacheServiceContract extends Contract<infer Subject> ? Subject : never;

const NAMESPACE = 'app';
const table = new ContractTable();
const stops: (() => Promise<void>)[] = [];

/** A fleet that begins waits for a lease: those on servers do so at the same time, while another is tested. */
const beginning = new Map<Farm, Promise<CacheSubject>>();

afterAll(async () => {
  table.print();
  // One that nobody has taken is left where only some of the tests were run.
  await Promise.allSettled([...beginning.values()].map(async (begun) => (await begun).cache.disconnect()));
  await Promise.all(stops.map((stop) => stop()));
});

interface Farm {
  readonly name: string;
  client(id: string): Promise<RedisClient>;
}

const ids = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `s${i}`);

/** What stands for several processes shares the keyspaces. */
function embedded(count: number): Farm {
  const clients = new Map(
    ids(count).map((id) => {
      const client = createClient(resolveConnection(id, { topology: 'embedded' }, []));
      return [id, lasting(client)];
    }),
  );
  return { name: `embedded × ${count}`, client: (id) => Promise.resolve(clients.get(id) as RedisClient) };
}

/** It outlives each of those who use it. */
function lasting(client: RedisClient): RedisClient {
  return new Proxy(client, {
    get: (target, name) => {
      if (name === 'disconnect') return () => Promise.resolve();
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

function servers(count: number): Farm {
  let started: Promise<Shards> | undefined;
  const start = (): Promise<Shards> => {
    started = startShards(count);
    stops.push(async () => (await started)?.stop());
    return started;
  };
  return {
    name: `servers × ${count}`,
    client: async (id) => {
      const { shards } = await (started ?? start());
      const { host, port } = shards[Number(id.slice(1))] ?? { host: '', port: 0 };
      const options = {
        host,
        port,
        timeout: '5s',
        connectTimeout: '10s',
        pool: { maxInFlight: 20_000 },
      } as const;
      return createClient(resolveConnection(id, options, [{ host, port }]));
    },
  };
}

for (const count of [1, 3, 8]) {
  const away = servers(count);
  beforeAll(() => {
    const begun = subjectOn(away, count, false);
    // Whoever takes it is told of a failure.
    begun.catch(() => undefined);
    beginning.set(away, begun);
  });
  for (const farm of [embedded(count), away]) {
    const target = {
      name: farm.name,
      create: () => {
        const begun = beginning.get(farm);
        beginning.delete(farm);
        return begun ?? subjectOn(farm, count, farm.name === 'embedded × 3');
      },
      dispose: ({ cache }: CacheSubject) => cache.disconnect(),
      onResult: table.add,
    };
    runContract(cacheServiceContract, target, { describe, it, after: afterAll });
  }
}

async function subjectOn(farm: Farm, count: number, nearby: boolean): Promise<CacheSubject> {
  const clients = new Map(
    await Promise.all(ids(count).map(async (id) => [id, await farm.client(id)] as const)),
  );
  const cache = new ShardedCache({
    shards: Object.fromEntries(ids(count).map((id) => [id, { options: undefined }])),
    open: (id) => ({ client: clients.get(id) as RedisClient, address: '' }),
    namespace: NAMESPACE,
    // In this process announcements come at once. From servers they take a hop, which the contract gives nobody:
    // test/integration/sharded-module.spec.ts waits for it.
    l1: nearby ? resolveL1({ isolation: 'copy' }) : false,
    // The machine may be busy with other tests for a while.
    lease: '3s',
  });
  await cache.connect({ timeout: '60s' });
  return { cache, client: outside(cache, clients), namespace: NAMESPACE };
}

/** The shards from outside, as if they were one: a key is where it belongs, in the generation that counts. */
function outside(cache: ShardedCache, clients: ReadonlyMap<string, RedisClient>): RedisClient {
  const command = async (name: string, [key = '', ...args]: readonly Arg[], options?: CallOptions) => {
    const text = String(key);
    const logical = /:(?:cache|lease):[^:]*:\{(.*)\}$/su.exec(text)?.[1];
    const owner = logical === undefined ? undefined : cache.shardFor(logical);
    const asked = [...clients].filter(([id]) => owner === undefined || id === owner);
    const replies = await Promise.all(
      asked.map(([id, client]) => {
        const own = text.replace(NAMESPACE, `${NAMESPACE}:${cache.status().shards[id]?.generation}`);
        return client.command(name, [own, ...args], options);
      }),
    );
    return replies[0];
  };
  return { command } as unknown as RedisClient;
}
