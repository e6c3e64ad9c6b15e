/** Where a shard is that is added while serving: what is told of it to other processes, and what a call is told. */
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import type { ShardOptions } from '@anbar/nestjs-redis/cache';
import { shared, startShards, startStandalone, type SharedTopologies } from '../topology/index.js';
import { keyOn, openRoom, ServerRoom, type Participant } from './sharded-lines.js';

const LEASE_MS = 400;
const KEYS = Array.from({ length: 60 }, (_, i) => `key:${i}`);

let tried = 0;
let cluster: SharedTopologies['cluster'];
let secured: SharedTopologies['tls'];

beforeAll(async () => {
  [cluster, secured] = await Promise.all([shared('cluster'), shared('tls')]);
}, 60_000);

/** Processes of one fleet, which is none of those before. */
function fleet(): (shards: Record<string, ShardOptions>) => Promise<Redis> {
  const namespace = `places.${process.pid}.${(tried += 1)}`;
  return async (shards) => {
    const redis = createRedis({ topology: 'embedded', namespace, shardLease: '500ms', shards }, {});
    onTestFinished(() => redis.disconnect());
    await redis.sharded.connect({ timeout: '20s' });
    return redis;
  };
}

async function serverOf(options: Parameters<typeof startStandalone>[0] = {}): Promise<ShardOptions> {
  const { url, stop } = await startStandalone(options).then((server) => ({
    url: server.url,
    stop: () => server.stop(),
  }));
  onTestFinished(stop);
  return { url };
}

describe('a shard that has no address which others could be told', () => {
  it('takes no share while one of them does not know it, and nobody is kept from writing meanwhile', async () => {
    const servers = await startShards(2);
    onTestFinished(() => servers.stop());
    const [a = '', b = ''] = servers.urls;
    const open = fleet();
    const [one, other] = [
      await open({ a: { url: a }, b: { url: b } }),
      await open({ a: { url: a }, b: { url: b } }),
    ];
    await one.sharded.setMany(KEYS.map((key) => [key, 'old'] as const));
    await expect(
      one.sharded.addShard('d', { options: { topology: 'cluster', cluster } }),
    ).rejects.toMatchObject({
      code: 'SHARD_QUORUM',
      hint: expect.stringContaining('name it in the options') as string,
    });
    await other.sharded.deleteMany(KEYS);
    expect(await one.sharded.getMany(KEYS)).toEqual(KEYS.map(() => undefined));
    await vi.waitFor(
      async () => {
        const stored = await Promise.all(KEYS.map((key) => other.sharded.set(key, 'new')));
        expect(stored).toEqual(KEYS.map(() => true));
      },
      { timeout: 10_000 },
    );
    expect(await one.sharded.getMany(KEYS)).toEqual(KEYS.map(() => 'new'));

    await other.disconnect();
    await vi.waitFor(() => expect(one.sharded.status().move).toBeUndefined(), { timeout: 15_000 });
    expect(one.sharded.status().shards['d']?.slots).toBeGreaterThan(5_000);
  }, 60_000);
});

describe('a shard that speaks another way than the first one', () => {
  it('is reached in the clear where its address says so, and another shard is', async () => {
    const [plain, b] = [await serverOf(), await serverOf()];
    const a = { url: secured.url, tls: { ca: secured.tls.ca } };
    const open = fleet();
    const [one, other] = [await open({ a, b }), await open({ a, b })];
    await one.sharded.addShard('d', { options: plain });
    expect(other.sharded.status().shards['d']).toMatchObject({ state: 'up', health: 'up' });
  }, 60_000);

  it('is told no login in the clear by a process whose own shards are reached by TLS', async () => {
    const plain = await serverOf();
    const a = { url: secured.url, tls: { ca: secured.tls.ca } };
    const open = fleet();
    const [one, other] = [await open({ a }), await open({ a })];
    const warned = vi.fn();
    other.sharded.onChange((event) => {
      if (event.name === 'warning') warned(event.text);
    });
    const adding = one.sharded.addShard('d', { options: plain });
    adding.catch(() => undefined);
    await vi.waitFor(() => expect(warned).toHaveBeenCalled(), { timeout: 10_000 });
    expect(warned.mock.calls[0]?.[0]).toContain('is not TLS');
    expect(other.sharded.status().shards['d']?.slots ?? 0).toBe(0);
    await other.disconnect();
    await adding.catch(() => undefined);
  }, 60_000);

  it('is reached by TLS where its address says so, with what another shard says of it', async () => {
    const [a, d] = [await serverOf(), { url: secured.url, tls: { ca: secured.tls.ca } }];
    const open = fleet();
    const shards = { a, b: { ...d, db: 1, weight: 0 } };
    const [one, other] = [await open(shards), await open(shards)];
    await one.sharded.addShard('d', { options: d });
    expect(other.sharded.status().shards['d']).toMatchObject({ state: 'up', health: 'up' });
  }, 60_000);
});

it('a cluster takes back what it has left of slots that it had before', async () => {
  const plain = await serverOf();
  const open = fleet();
  const shards = { a: { topology: 'cluster', cluster } as const, b: plain };
  const [one, other] = [await open(shards), await open(shards)];
  await one.sharded.drain('b');
  // Of a cache that the first process does not know: its keys stay behind.
  await other.sharded.namespace('unknown').setMany(KEYS.map((key) => [key, 'old'] as const));
  await one.sharded.addShard('b', { options: plain });
  await one.sharded.drain('b');
  expect(one.sharded.status()).toMatchObject({ move: undefined, shards: { a: { slots: 16_384 } } });
  const left = await other.sharded.namespace('unknown').getMany(KEYS);
  expect(left.some((value) => value === undefined)).toBe(true);
}, 60_000);

describe('a shard of which nobody could say whether it was taken in', () => {
  async function doubted(refused: 'shards.prepare' | 'shards.accept') {
    const room = new ServerRoom(LEASE_MS);
    const one = room.process(['a', 'b', 'c']);
    await one.cache.connect({ timeout: '20s' });
    const heals = ['b', 'c'].map((id) => one.line(id).refuse(refused));
    await expect(one.cache.addShard('d', { options: room.server('wrong') })).rejects.toMatchObject({
      code: 'SHARD_QUORUM',
    });
    const wrong = one.line('d');
    for (const heal of heals) heal();
    return { room, one, wrong };
  }

  it('is looked for where the next call says, as it was not', async () => {
    const { room, one, wrong } = await doubted('shards.prepare');
    await one.cache.addShard('d', { options: room.server('right') });
    expect(one.cache.status().shards['d']).toMatchObject({ address: 'right', slots: 4_096 });
    expect(wrong.isClosed).toBe(true);
    await one.cache.set(keyOn(one.cache, 'd'), 'stored');
  }, 20_000);

  it('was: the next call is told where it is', async () => {
    const { room, one } = await doubted('shards.accept');
    await expect(one.cache.addShard('d', { options: room.server('right') })).rejects.toMatchObject({
      code: 'SHARD_CHANGE',
      message: expect.stringContaining('at wrong') as string,
    });
    expect(one.cache.status().shards['d']).toMatchObject({ address: 'wrong' });
    expect(await one.cache.set(keyOn(one.cache, 'd'), 'stored')).toBe(true);
  }, 20_000);
});

it('a shard that one process added, and another one adds elsewhere once it is gone, is opened once', async () => {
  const { room, processes } = await openRoom(['a', 'b'], { leaseMs: LEASE_MS, count: 2 });
  const [one, other] = processes as [Participant, Participant];
  await one.cache.addShard('d', { options: room.server('before') });
  await one.cache.removeShard('d');
  await vi.waitFor(() => expect(one.open()).not.toContain('d'), { timeout: 5_000, interval: 1 });
  const adding = other.cache.addShard('d', { options: room.server('after') });
  await vi.waitFor(() => expect(one.open()).toContain('d'), { timeout: 5_000, interval: 1 });
  const first = one.line('d');
  await adding;
  expect(one.cache.status().shards['d']).toMatchObject({ address: 'after', state: 'up' });
  expect(first.isClosed).toBe(false);
}, 20_000);

it('what is probably not meant in the options of a shard is told', async () => {
  const plain = await serverOf();
  const { sharded } = await fleet()({ a: await serverOf() });
  const told: unknown[] = [];
  sharded.onChange((event) => void (event.name === 'warning' && told.push(event)));
  await sharded.addShard('d', { options: { ...plain, timeout: 5_000 } });
  expect(told).toEqual([
    { name: 'warning', shard: 'd', text: expect.stringContaining('5000 means 5000 seconds') as string },
  ]);
}, 30_000);
