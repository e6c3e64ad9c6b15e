/** Reads that leave together are refused apart: a user who may not read one key is not kept from another. */
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createRedis, type RedisAdapter } from '@anbar/nestjs-redis';
import { startStandalone, type Standalone } from '../topology/index.js';

let server: Standalone;

beforeAll(async () => {
  server = await startStandalone({
    password: 'root',
    acl: { user: 'app', password: 'pw', rules: '~app:* &* +@all' },
  });
  await server.process.admin('ACL', 'SETUSER', 'reader', 'on', '>pw', '~*', '+@connection', '+get');
  await server.process.admin('MSET', 'app:1', 'one', 'app:2', 'two', 'other', 'theirs');
});
afterAll(() => server.stop());

function openAs(username: string): RedisAdapter {
  const { host, port } = server;
  const redis = createRedis(
    { host, port, username, password: 'pw', timeout: '5s', connectTimeout: '10s' },
    {},
  );
  onTestFinished(() => redis.disconnect());
  return redis.adapter;
}

it('answers an allowed read that left with a forbidden one', async () => {
  const redis = openAs('app');
  await redis.ping();
  const [mine, theirs, more] = await Promise.allSettled(
    ['app:1', 'other', 'app:2'].map((key) => redis.command('GET', [key])),
  );
  expect(theirs).toMatchObject({ status: 'rejected', reason: { code: 'REDIS_REPLY', kind: 'NOPERM' } });
  expect([mine, more]).toEqual([
    { status: 'fulfilled', value: 'one' },
    { status: 'fulfilled', value: 'two' },
  ]);
});

it('reads for a user who may GET and not MGET', async () => {
  const redis = openAs('reader');
  await redis.ping();
  const read = Promise.all(['app:1', 'app:2', 'other'].map((key) => redis.command('GET', [key])));
  await expect(read).resolves.toEqual(['one', 'two', 'theirs']);
});
