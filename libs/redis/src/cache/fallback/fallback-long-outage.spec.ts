/** Counters and hashes of which Redis did not tell the expiry, in an outage longer than their copies stay. */
import { expect, it, onTestFinished } from 'vitest';
import { createChaosClient, FakeClock, type ChaosClient } from '../../../testing/index.js';
import { openFallback } from '../../../testing/scenes/fallback-scene.js';
import { NotConnectedError, type RedisClient } from '../../connection/index.js';
import type { CacheService } from '../cache-service.js';
import type { FallbackCache } from './fallback-cache.js';

interface Scene {
  readonly cache: FallbackCache;
  readonly chaos: ChaosClient;
  readonly standby: RedisClient;
  /** What stands in Redis, by somebody else's eyes. */
  readonly other: CacheService;
  readonly cut: () => void;
  readonly pass: (seconds: number) => Promise<void>;
  readonly back: () => Promise<void>;
}

function open(): Scene {
  const clock = new FakeClock();
  const failing = (inner: RedisClient): ChaosClient => createChaosClient(inner, { timeoutMs: 60 });
  const { cache, client: chaos, standby, other } = openFallback(failing, {}, { clock });
  onTestFinished(() => {
    void cache.disconnect({ drain: '1ms' });
  });
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return {
    cache,
    chaos,
    standby,
    other,
    cut: () => chaos.fail(new NotConnectedError('the server is away')),
    pass,
    async back() {
      chaos.heal();
      for (let tries = 0; tries < 100 && cache.state.mode !== 'redis'; tries += 1) await pass(1);
      expect(cache.state.mode).toBe('redis');
    },
  };
}

const fieldsOf = (cache: Pick<CacheService, 'hget'>): Promise<unknown[]> =>
  Promise.all(['seen', 'put', 'untouched'].map((field) => cache.hget('h', field)));

it('a field put into the copy of a hash outlives the copy, and Redis has it beside all others', async () => {
  const { cache, other, cut, pass, back } = open();
  await other.hset('h', { seen: 1, untouched: 3 }, { ttl: '1h' });
  await cache.hget('h', 'seen');
  cut();
  await cache.hset('h', 'put', 2, { ttl: '1h' });
  await pass(90);
  expect(await cache.hget('h', 'put')).toBe(2);
  await back();
  expect(await fieldsOf(other)).toEqual([1, 2, 3]);
});

it('a counter that was copied counts on for the time of the call', async () => {
  const { cache, other, cut, pass, back } = open();
  await other.incr('n', 10, '1h');
  await other.incr('lasting', 20, 'never');
  expect(await cache.getMany(['n', 'lasting'])).toEqual([10, 20]);
  cut();
  expect([await cache.incr('n', 1, '1h'), await cache.incr('lasting', 1, 'never')]).toEqual([11, 21]);
  await pass(90);
  expect([await cache.incr('n', 1, '1h'), await cache.incr('lasting', 1, 'never')]).toEqual([12, 22]);
  await back();
  expect(await other.getMany(['n', 'lasting'])).toEqual([12, 22]);
});

it('counting on does not renew the time', async () => {
  const { cache, other, cut, pass } = open();
  await other.incr('n', 10, '1h');
  await cache.get('n');
  cut();
  await cache.incr('n', 1, '100s');
  await pass(70);
  expect(await cache.incr('n', 1, '100s')).toBe(12);
  await pass(40);
  expect(await cache.incr('n', 1, '100s')).toBe(1);
});

it('what the standby had no room for is lost, and no other field with it', async () => {
  const { cache, other, standby, cut, back } = open();
  await other.hset('h', { seen: 'old', put: 'old', untouched: 'old' }, { ttl: '1h' });
  cut();
  await cache.hset('h', { seen: 'new', put: 'new' }, { ttl: '1h' });
  for await (const keys of standby.scan({ match: '*{h}*' })) await standby.command('HDEL', [...keys, 'put']);
  await back();
  expect(await fieldsOf(other)).toEqual(['new', undefined, 'old']);
});

it('a field whose time is over before Redis is back does not show its value from before', async () => {
  const { cache, other, cut, pass, back } = open();
  await other.hset('h', { seen: 'old', put: 'old', untouched: 'old' }, { ttl: '1h' });
  cut();
  await cache.hset('h', 'put', 'new', { ttl: '100s' });
  await pass(110);
  await back();
  expect(await fieldsOf(other)).toEqual(['old', undefined, 'old']);
});
