/** The clean-up on shards: the values in use, and what is left of generations that nobody reads any more. */
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { CacheKeys, cacheCleanup, generationCleanup } from '@anbar/nestjs-redis/cache';
import { CleanupService, resolveCleanup, type CleanupReport } from '@anbar/nestjs-redis/cleanup';
import { createCodec } from '@anbar/nestjs-redis/codec';
import type { RedisClient } from '@anbar/nestjs-redis/connection';
import { startShards, type Shards } from '../topology/index.js';
import { expected, look, plant } from '../faults-cleanup/planted-keys.js';

const HOUR = 3_600_000;

let servers: Shards;
beforeAll(async () => {
  servers = await startShards(2);
});
afterAll(() => servers.stop());

async function open(): Promise<Redis> {
  const [a = '', b = ''] = servers.urls;
  const shards = { a: { url: a, timeout: '5s' }, b: { url: b, timeout: '5s' } } as const;
  const cleanup = { budgetPerSecond: 1_000_000, maxLatency: '1m' } as const;
  const redis = createRedis(
    { url: a, namespace: 'app', timeout: '5s', shards, shardLease: '5s', cleanup },
    {},
  );
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  return redis;
}

it('ends on every shard what the model says of the values in use there', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const redis = await open();
  await redis.sharded.set('book:1', 'kept', '1h');
  const homes = redis.sharded.homes();
  expect(homes.map(({ id }) => id)).toEqual(['a', 'b']);
  const planted = await Promise.all(
    homes.map(async ({ client, namespace }) => plant(client, namespace, { rounds: 1, seed, confined: true })),
  );
  const before = await Promise.all(
    homes.map(({ client }, i) => look(client, planted[i]?.fates.keys() ?? [])),
  );

  const report = await redis.cleanup.run();
  expect(report.outcome).toBe('ok');
  for (const [i, { client, id }] of homes.entries()) {
    const fates = new Map([...(planted[i]?.fates ?? [])].filter(([key]) => isOfCache(key)));
    const its = { fates, removed: {}, expiring: {} };
    const after = await look(client, fates.keys());
    expect({ seed, after }).toEqual({ seed, after: expected(its, before[i] ?? new Map()) });
    const node = report.nodes.find(({ home }) => home === `shard:${id}`);
    expect(node?.removed).toEqual({ lease: 1, value: planted[i]?.removed['value'] });
    expect(node?.expiring).toEqual({ 'tag-clock': 2, value: 1 });
  }
  expect(await redis.sharded.get('book:1')).toBe('kept');
});

/** A shard has caches and nothing else. */
function isOfCache(key: string): boolean {
  return /:v1:(?:cache|lease|tag|clock)/u.test(key);
}

it('removes what older generations left, when they have been over for an hour, and nothing younger', async () => {
  const redis = await open();
  await redis.sharded.set('book:2', 'kept', '1h');
  const [home] = redis.sharded.homes();
  if (home === undefined) throw new Error('no shard');
  const { client, generation } = home;
  const named = (bornAt: number): string => `s${bornAt.toString(36)}abc123`;
  const now = Date.now();
  const [older, younger] = [named(now - 50 * HOUR), named(now + HOUR)];
  const left = [older, younger].map((name) => keysOf(`app:${name}`));
  const beside = [
    'app:staging:v1:cache:x:{k}',
    'app:s0:v1:clock',
    `app:${older}:v1:other:{k}`,
    `app:${older}`,
  ];
  for (const key of [...left.flat(), ...beside]) await client.command('SET', [key, 'x']);

  const report = await cleanLater(redis, client, { current: generation, laterMs: 2 * HOUR });
  expect(report).toMatchObject({ outcome: 'ok', removed: { generation: left[0]?.length } });
  expect(await redis.sharded.get('book:2')).toBe('kept');
  const states = await look(client, [...left.flat(), ...beside]);
  expect([...states].filter(([, state]) => state === 'absent').map(([key]) => key)).toEqual(left[0]);

  // Began just now: others may not have heard of it yet.
  for (const key of left[0] ?? []) await client.command('SET', [key, 'x']);
  const early = await cleanLater(redis, client, { current: generation, laterMs: 0 });
  expect({ outcome: early.outcome, removed: early.removed }).toEqual({ outcome: 'ok', removed: {} });
});

function keysOf(namespace: string): readonly string[] {
  const keys = new CacheKeys(namespace, 'books');
  return [keys.value('k'), keys.lease(keys.value('k')), keys.tag('t'), keys.clock, keys.flush];
}

/** As the module does it, in two hours. */
async function cleanLater(
  { locks }: Redis,
  client: RedisClient,
  { current, laterMs }: { current: string; laterMs: number },
): Promise<CleanupReport> {
  const wallNow = (): number => Date.now() + laterMs;
  const parts = { namespace: `app:${current}`, codec: createCodec(), wallNow };
  const rules = () => [...cacheCleanup(parts), ...generationCleanup({ namespace: 'app', current, wallNow })];
  const homes = () => [{ name: 'shard', client, rules }];
  const cleanup = new CleanupService({
    client,
    namespace: 'app',
    locks,
    homes,
    settings: resolveCleanup({ maxLatency: '1m' }),
  });
  return cleanup.run();
}
