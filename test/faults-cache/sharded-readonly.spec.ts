/** Servers that answer and take no changes, as a replica does: they are no shards, and cost the others nothing. */
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { startShards, until, type Shards, type Standalone } from '../topology/index.js';

const KEYS = Array.from({ length: 40 }, (_, i) => `key:${i}`);

let servers: Shards;

beforeEach(async () => {
  servers = await startShards(4);
  return () => servers.stop();
}, 60_000);

async function open(count: number): Promise<Redis> {
  const shards = Object.fromEntries(servers.urls.slice(0, count).map((url, i) => [`s${i}`, { url }]));
  const redis = createRedis({ topology: 'embedded', shardLease: '500ms', shards }, {});
  onTestFinished(() => redis.disconnect());
  await redis.sharded.connect({ timeout: '20s' });
  return redis;
}

/** Of the last server. */
async function demote(at: number): Promise<Standalone> {
  const server = servers.shards[at];
  const primary = servers.shards.at(-1);
  if (server === undefined || primary === undefined) throw new Error('there is no such server');
  await server.process.admin('REPLICAOF', primary.host, String(primary.port));
  const isReplica = async (): Promise<boolean> =>
    (await server.process.info('replication'))['master_link_status'] === 'up';
  await until(isReplica, { what: 'the server to be a replica' });
  return server;
}

it('a replica is not taken in, and invalidations go on', async () => {
  const { sharded } = await open(2);
  const replica = await demote(2);
  await expect(sharded.addShard('d', { options: { url: replica.url } })).rejects.toMatchObject({
    code: 'SHARD_CHANGE',
    hint: expect.stringContaining('primary') as string,
  });
  expect(sharded.status()).toMatchObject({ move: undefined, epoch: 1 });
  await sharded.invalidateTags('books');
  expect(await Promise.all(KEYS.map((key) => sharded.set(key, 1)))).toEqual(KEYS.map(() => true));
}, 40_000);

it('a shard that becomes a replica is taken out, and is back when it takes changes again', async () => {
  const { sharded } = await open(3);
  await sharded.setMany(
    KEYS.map((key) => [key, 'old'] as const),
    { ttl: '1h', tags: ['books'] },
  );
  const server = await demote(1);
  await sharded.invalidateTags('books');
  await sharded.deleteMany(KEYS);
  expect(sharded.status().shards['s1']).toMatchObject({ state: 'out' });
  expect(await sharded.getMany(KEYS)).toEqual(KEYS.map(() => undefined));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(sharded.status().shards['s1']).toMatchObject({ state: 'out' });
  await server.process.admin('REPLICAOF', 'NO', 'ONE');
  await until(() => sharded.status().shards['s1']?.state === 'up', { what: 'the shard to be back' });
  expect(await Promise.all(KEYS.map((key) => sharded.set(key, 1)))).toEqual(KEYS.map(() => true));
}, 40_000);
