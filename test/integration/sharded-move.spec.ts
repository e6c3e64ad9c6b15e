/** What moves with a slot: values with their tags, and what invalidations have said of them. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { startShards } from '../topology/index.js';

const PLACES = ['embedded', 'redis'] as const;
const COUNT = 200;

async function open(place: (typeof PLACES)[number]): Promise<Redis> {
  const ids = ['a', 'b', 'c'];
  const shards: Record<string, RedisModuleOptions> = {};
  if (place === 'redis') {
    const servers = await startShards(ids.length);
    onTestFinished(() => servers.stop());
    for (const [i, id] of ids.entries()) shards[id] = { url: servers.urls[i] ?? '' };
  } else for (const id of ids) shards[id] = { topology: 'embedded' };
  const cache = { l1: false, jitter: 0 } as const;
  const weighted = { ...shards, b: { ...shards['b'], weight: 2 } };
  const options = { topology: 'embedded', timeout: '5s', cache, shards: weighted } as const;
  const redis = createRedis(options, {});
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  return redis;
}

const keys = Array.from({ length: COUNT }, (_, i) => `key:${i}`);
const tagOf = (i: number): string => `tag:${i % 5}`;

describe.each(PLACES)('on %s', (place) => {
  it('nothing that is tagged, nor anything stored after a flush, is lost by a move', async () => {
    const { sharded } = await open(place);
    await sharded.flush();
    await sharded.invalidateTags(['tag:0', 'tag:1']);
    for (const [i, key] of keys.entries()) {
      await sharded.set(key, i, i % 2 === 0 ? { ttl: '1h' } : { ttl: '1h', tags: [tagOf(i)] });
    }
    await sharded.drain('b');
    expect(await sharded.getMany(keys)).toEqual(keys.map((_, i) => i));
    await sharded.addShard('b');
    expect(sharded.status().shards['b']?.weight).toBe(2);
    expect(await sharded.getMany(keys)).toEqual(keys.map((_, i) => i));
    await sharded.invalidateTags(['tag:1', 'tag:3']);
    const left = await sharded.getMany(keys);
    expect(left).toEqual(keys.map((_, i) => (i % 2 === 1 && (i % 5 === 1 || i % 5 === 3) ? undefined : i)));
  }, 60_000);
});
