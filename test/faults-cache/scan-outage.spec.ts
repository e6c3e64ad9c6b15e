/** What goes through every key fails like everything else when a server is lost on the way: with errors of ours. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createRedis, RedisModuleError, type Redis } from '@anbar/nestjs-redis';
import { startStandalone, until, type Standalone } from '../topology/index.js';

const KEYS = 500;

let server: Standalone;
let redis: Redis;

beforeAll(async () => {
  server = await startStandalone();
  redis = createRedis({ url: server.url }, {});
});

beforeEach(async () => {
  if (!server.process.alive) await server.process.restart('empty');
  const books = Array.from({ length: KEYS }, (_, i) => [['book', i], i] as const);
  const fill = (): Promise<boolean> =>
    redis.cache.setMany(books).then(
      () => true,
      () => false,
    );
  await until(fill, { what: 'the connection', every: 50 });
});

afterAll(async () => {
  await redis.disconnect();
  await server.stop();
});

async function readAll(): Promise<void> {
  for await (const page of redis.adapter.scan({ count: 10 })) {
    if (server.process.alive) await server.process.kill();
    expect(page.length).toBeGreaterThan(0);
  }
}

it.each<[string, () => Promise<unknown>]>([
  ['scan', readAll],
  ['deletePrefix', () => redis.cache.deletePrefix(['book'])],
  ['flush', () => redis.cache.flush()],
])('%s', async (name, call) => {
  const outcome = call().then(
    () => 'it did not notice',
    (reason: unknown) => reason,
  );
  if (name !== 'scan') await server.process.kill();
  expect(await outcome).toBeInstanceOf(RedisModuleError);
});
