/** Options of the cache, as they count for several shards together. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { shared } from '../topology/index.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let tried = 0;

async function open(cache: NonNullable<RedisModuleOptions['cache']>): Promise<Redis> {
  const { urls } = await shared('shards');
  const shards = Object.fromEntries(urls.map((url, i) => [`s${i}`, { url }]));
  const namespace = `shard-options.${process.pid}.${(tried += 1)}`;
  const redis = createRedis({ url: urls[0] ?? '', namespace, shardLease: '500ms', cache, shards }, {});
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  return redis;
}

describe('callers who share a load', () => {
  it.each(['frozen', 'shared', 'copy'] as const)(
    'are kept apart as those of a cache on one server are: %s',
    async (isolation) => {
      const { cache, sharded } = await open({ l1: { isolation } });
      const apart = await Promise.all(
        [cache, sharded].map(async (each) => {
          const load = (): Promise<{ page: number }> => pause(100).then(() => ({ page: 1 }));
          const [one, other] = await Promise.all([each.getOrSet('k', load), each.getOrSet('k', load)]);
          return { same: one === other, frozen: Object.isFrozen(one) };
        }),
      );
      expect(apart[1]).toEqual(apart[0]);
      expect(apart[1]).toEqual({ same: isolation !== 'copy', frozen: isolation === 'frozen' });
    },
  );
});

describe('the cap on loads', () => {
  function counted() {
    const seen = { now: 0, most: 0 };
    const load = async (): Promise<number> => {
      seen.now += 1;
      seen.most = Math.max(seen.most, seen.now);
      await pause(20);
      seen.now -= 1;
      return 1;
    };
    return { seen, load };
  }
  const keys = Array.from({ length: 24 }, (_, i) => `key:${i}`);

  it('is one for all shards, and for caches that set none of their own', async () => {
    const { sharded } = await open({ maxLoads: 2 });
    const { seen, load } = counted();
    const named = sharded.namespace('named');
    await Promise.all(keys.flatMap((key) => [sharded.getOrSet(key, load), named.getOrSet(key, load)]));
    expect(seen.most).toBe(2);
  });

  it('is its own where a cache sets one, on all shards together too', async () => {
    const { sharded } = await open({ maxLoads: 2 });
    const { seen, load } = counted();
    const named = sharded.namespace('named', { maxLoads: 4 });
    await Promise.all(keys.map((key) => named.getOrSet(key, load)));
    expect(seen.most).toBe(4);
  });
});
