/** The cache with a fallback as the module provides it, with nothing listening where Redis should be. */
import { Inject, Injectable } from '@nestjs/common';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { CacheService, createRedis, FallbackCache, RedisModule } from '@anbar/nestjs-redis';
import { boot } from '../integration/boot.js';

beforeEach(() => vi.stubEnv('REDIS_URL', undefined));
afterEach(() => vi.unstubAllEnvs());

@Injectable()
class Books {
  constructor(@Inject(FallbackCache) readonly cache: FallbackCache) {}
}

it('is injected, serves an application that boots without Redis, and closes with it', async () => {
  const nowhere = { host: '127.0.0.1', port: 1, connectTimeout: '100ms', fallback: { journal: 1 } } as const;
  const { app } = await boot({ imports: [RedisModule.forRoot(nowhere)], providers: [Books] });
  const { cache } = app.get(Books);
  await cache.set('k', { title: 'Kelidar' });
  expect(await cache.get('k')).toEqual({ title: 'Kelidar' });
  expect(cache.state).toMatchObject({ mode: 'fallback', journal: 1, overflowed: false });
  await cache.delete('l');
  expect(cache.state.overflowed).toBe(true);
  expect(app.get(CacheService)).not.toBe(cache);
  await app.close();
});

it('embedded it is the cache itself: the same store, and nothing to fall back from', async () => {
  const redis = createRedis({ topology: 'embedded' }, {});
  await redis.cache.set('k', 1);
  expect(await redis.fallback.get('k')).toBe(1);
  expect(redis.fallback.state).toMatchObject({ mode: 'redis', journal: 0 });
  await redis.disconnect();
});
