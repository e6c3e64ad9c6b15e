/** An invalidation is one call, however many servers it is brought to: that is what its metrics say. */
import { describe, expect, it, onTestFinished } from 'vitest';
import type { CacheContract } from '@anbar/nestjs-redis/cache';
import { startShards, startStandalone, until } from '../topology/index.js';
import { watch, type Figures } from './metrics-stage.js';

const KINDS = ['delete', 'delete_many', 'tags', 'prefix', 'flush'] as const;

function callsOf(figures: Figures, cache = 'default') {
  return Object.fromEntries(
    KINDS.map((by) => [by, figures.value('cache_invalidations_total', { cache, by })]),
  );
}

function failuresOf(figures: Figures): number | undefined {
  return figures.value('cache_invalidation_failures_total', { cache: 'default' });
}

async function invalidate(cache: CacheContract): Promise<void> {
  const keys = Array.from({ length: 30 }, (_, i) => `key:${i}`);
  await cache.setMany(keys.map((key) => [key, 1]));
  await cache.delete('key:0');
  await cache.deleteMany(keys);
  await cache.invalidateTags(['red', 'blue']);
  await cache.deletePrefix('key');
  await cache.flush();
}

describe.each(['cache', 'fallback', 'sharded'] as const)('of %s', (kind) => {
  it('each call counts once, under its own kind', async () => {
    const embedded = { topology: 'embedded' } as const;
    const { redis, scrape } = await watch({
      ...embedded,
      shards: { a: embedded, b: embedded, c: embedded },
    });
    await invalidate(redis[kind]);
    await redis[kind].namespace<string>('books').flush();
    const figures = await scrape();
    expect(callsOf(figures)).toEqual({ delete: 1, delete_many: 1, tags: 1, prefix: 1, flush: 1 });
    expect(callsOf(figures, 'books')).toMatchObject({ flush: 1 });
    expect(failuresOf(figures)).toBe(0);
    expect(figures.value('cache_invalidation_duration_seconds_count')).toBe(6);
  });
});

it('one that Redis can not do and the fallback does is no failure, nor is it counted twice', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const { redis, scrape } = await watch({ url: server.url });
  await invalidate(redis.fallback);
  await server.process.kill();
  await redis.fallback.delete('key:1');
  expect(redis.fallback.state.mode).toBe('fallback');
  await redis.fallback.deleteMany(['key:2', 'key:3']);
  await server.process.restart('empty');
  await until(() => redis.fallback.state.mode === 'redis', { what: 'the return' });
  const figures = await scrape();
  expect(callsOf(figures)).toEqual({ delete: 2, delete_many: 2, tags: 1, prefix: 1, flush: 1 });
  expect(failuresOf(figures)).toBe(0);
});

it('one that a shard does not hear of is a failure only where it is refused', async () => {
  const started = await startShards(3);
  onTestFinished(() => started.stop());
  const [a = '', b = '', c = ''] = started.urls;
  const { redis, scrape } = await watch({
    topology: 'embedded',
    shards: { a: { url: a }, b: { url: b }, c: { url: c } },
  });
  await started.shards[1]?.process.kill();
  await redis.sharded.invalidateTags('red');
  const before = await scrape();
  expect([callsOf(before)['tags'], failuresOf(before)]).toEqual([1, 0]);
  await started.shards[2]?.process.kill();
  await expect(redis.sharded.invalidateTags('red')).rejects.toMatchObject({ code: 'SHARD_QUORUM' });
  const after = await scrape();
  expect([callsOf(after)['tags'], failuresOf(after)]).toEqual([2, 1]);
});
