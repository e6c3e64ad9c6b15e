/** Calls with thousands of keys fit through a connection of the default size, beside other callers. */
import { expect, it, onTestFinished } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { shared } from '../topology/index.js';

const COUNT = 3_000;

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
  const loaded = await redis.cache.getOrSetMany(keys, (missing) => missing.map((_, i) => i));
  expect(loaded).toEqual(values);
}, 60_000);
