/** A process starts with a configuration from before the shards were replaced: one of them that is left is enough. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ShardedCache } from '@anbar/nestjs-redis/cache';
import { startShards, type Shards } from '../topology/index.js';
import { openSharded } from './sharded-hunt.js';

const IDS = ['a', 'b', 'c', 'd', 'e'] as const;
const LEASE_MS = 500;
const KEYS = Array.from({ length: 60 }, (_, i) => `key:${i}`);

let servers: Shards;
let mine: ShardedCache<unknown, string>;
const opened: ShardedCache<unknown, string>[] = [];

function open(...ids: readonly (typeof IDS)[number][]): ShardedCache<unknown, string> {
  const urls = Object.fromEntries(ids.map((id) => [id, servers.urls[IDS.indexOf(id)] ?? '']));
  const cache = openSharded({ urls, namespace: 'rejoin', leaseMs: LEASE_MS });
  opened.push(cache);
  return cache;
}

const add = (id: (typeof IDS)[number]): Promise<void> =>
  mine.addShard(id, { options: servers.urls[IDS.indexOf(id)] ?? '' });
const kill = async (...ids: readonly (typeof IDS)[number][]): Promise<void> => {
  for (const id of ids) await servers.shards[IDS.indexOf(id)]?.process.kill();
};

beforeEach(async () => {
  servers = await startShards(IDS.length);
  mine = open('a', 'b', 'c');
  await mine.connect({ timeout: '30s' });
  await mine.setMany(KEYS.map((key) => [key, key] as const));
}, 60_000);

afterEach(async () => {
  await Promise.all(opened.splice(0).map((cache) => cache.disconnect()));
  await servers.stop();
});

describe('a, b, c are in its configuration', () => {
  beforeEach(async () => {
    await add('d');
    await add('e');
    await mine.removeShard('b');
    await mine.removeShard('c');
    await kill('b', 'c');
  }, 60_000);

  it('two of them were replaced and are gone: the third tells where the rest is', async () => {
    const restarted = open('a', 'b', 'c');
    const startedAt = performance.now();
    await restarted.connect({ timeout: '15s' });
    expect(performance.now() - startedAt).toBeLessThan(8_000);
    expect(restarted.status()).toMatchObject({ current: true, epoch: mine.status().epoch });
    expect(await restarted.getMany(KEYS)).toEqual(KEYS);
    await restarted.delete(KEYS[0] ?? '');
    expect(await mine.get(KEYS[0] ?? '')).toBeUndefined();
  }, 60_000);

  it('the third was replaced too, and runs still: what it remembers is enough', async () => {
    await mine.removeShard('a');
    const restarted = open('a', 'b', 'c');
    await restarted.connect({ timeout: '15s' });
    expect(restarted.status()).toMatchObject({ current: true, epoch: mine.status().epoch });
    expect(await restarted.getMany(KEYS)).toEqual(KEYS);
  }, 60_000);

  it('all of them are gone: it says so, and one that is in use is enough', async () => {
    await mine.removeShard('a');
    await kill('a');
    const lost = open('a', 'b', 'c');
    await expect(lost.connect({ timeout: '2s' })).rejects.toMatchObject({
      code: 'SHARD_QUORUM',
      hint: expect.stringContaining('a, b, c') as string,
    });
    const told = open('a', 'b', 'c', 'e');
    await told.connect({ timeout: '15s' });
    expect(await told.getMany(KEYS)).toEqual(KEYS);
  }, 60_000);
});
