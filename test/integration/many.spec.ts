/** Calls with thousands of keys fit through a connection of the default size, beside other callers. */
import { expect, it, onTestFinished } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { shared, startStandalone } from '../topology/index.js';

const COUNT = 3_000;

/** A server of its own, which is asked for its figures. */
async function open() {
  const { url, process: server } = await startStandalone();
  onTestFinished(() => server.stop());
  const redis = createRedis({ url, timeout: '5s' }, {});
  onTestFinished(() => redis.disconnect());
  return { server, redis };
}

it(`${COUNT} keys at once, on the cache and on the adapter`, async () => {
  const { url } = await shared('standalone');
  const redis = createRedis({ url, namespace: 'many', timeout: '5s', cache: { l1: false } }, {});
  onTestFinished(() => redis.disconnect());
  const keys = Array.from({ length: COUNT }, (_, i) => ['many', i]);
  const entries = keys.map((key, i) => [key, i] as const);
  const values = entries.map(([, value]) => value);
  for (const store of [redis.cache, redis.adapter]) {
    await store.setMany(entries);
    expect(await store.getMany(keys)).toEqual(values);
    expect(await store.deleteMany(keys)).toBe(COUNT);
  }
  const loaded = await redis.cache.getOrSetMany(keys, (missing) => missing.map((key) => Number(key[1])));
  expect(loaded).toEqual(values);
}, 60_000);

it('many questions of one turn leave in two halves, each proven by itself; few in one', async () => {
  const { server, redis } = await open();
  await redis.adapter.connect();
  const ask = async (count: number): Promise<readonly string[]> => {
    await server.admin('CONFIG', 'RESETSTAT');
    await Promise.all(Array.from({ length: count }, (_, i) => redis.adapter.get(`k${i}`)));
    const { cmdstat_mget: reads, cmdstat_echo: echoes } = await server.info('commandstats');
    return [reads, echoes].map((line) => /calls=(?<calls>\d+)/u.exec(line ?? '')?.groups?.['calls'] ?? '0');
  };
  // Keys that are missing are asked for once more, one by one, unless the type is of no interest.
  await redis.adapter.setMany(
    Array.from({ length: 64 }, (_, i) => [`k${i}`, i] as const),
    '1m',
  );
  expect(await ask(8)).toEqual(['1', '0']);
  expect(await ask(64)).toEqual(['2', '2']);
});

it('what different callbacks of one turn ask leaves together, once something is under way', async () => {
  const { server, redis } = await open();
  await redis.adapter.setMany(
    Array.from({ length: 6 }, (_, i) => [`k${i}`, i] as const),
    '1m',
  );
  await server.admin('CONFIG', 'RESETSTAT');
  // As the sockets of six clients that are read one after the other: each callback is followed by its own ticks.
  const asked = Array.from(
    { length: 6 },
    (_, i) =>
      new Promise((resolve) => {
        setImmediate(() => resolve(redis.adapter.get(`k${i}`)));
      }),
  );
  expect(await Promise.all(asked)).toEqual([0, 1, 2, 3, 4, 5]);
  const { cmdstat_get: alone, cmdstat_mget: together } = await server.info('commandstats');
  expect([alone, together].map((line) => /calls=(\d+)/u.exec(line ?? '')?.[1])).toEqual(['1', '1']);
});
