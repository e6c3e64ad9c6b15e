/** More calls at once than a connection takes are a load of this process, and say nothing about Redis. */
import { expect, it, onTestFinished } from 'vitest';
import { createChaosClient, type ChaosClient } from '../../../testing/index.js';
import { clientButFor } from '../../../testing/scenes/client-but-for.js';
import { openFallback, type FallbackScene } from '../../../testing/scenes/fallback-scene.js';
import { BackpressureError, NotConnectedError, type RedisClient } from '../../connection/index.js';
import type { CacheOptions } from '../cache.options.js';
import type { CacheOutcome } from '../call.options.js';

const MOST_IN_FLIGHT = 1_000;

/** Refuses what is too much, as a pool does. */
function capped(inner: RedisClient): RedisClient {
  let inFlight = 0;
  const counted: Parameters<typeof clientButFor>[2] =
    (method) =>
    async (...args) => {
      if (inFlight >= MOST_IN_FLIGHT) throw full();
      inFlight += 1;
      await new Promise((resolve) => setTimeout(resolve, 1));
      return method(...args).finally(() => (inFlight -= 1));
    };
  return clientButFor(clientButFor(inner, 'command', counted), 'run', counted);
}

const full = (): Error => new BackpressureError('1000 calls are in flight');

function open(options: CacheOptions = {}): FallbackScene<ChaosClient> {
  const scene = openFallback((inner) => createChaosClient(capped(inner), { timeoutMs: 1_000 }), options);
  onTestFinished(() => scene.cache.disconnect({ drain: '50ms' }));
  return scene;
}

it('setMany of more entries than fit in flight stores all of them in Redis', async () => {
  const { cache, other } = open();
  const keys = Array.from({ length: 1_100 }, (_, i) => `k${i}`);
  await cache.setMany(keys.map((key) => [key, key]));
  expect(cache.state).toMatchObject({ mode: 'redis', journal: 0 });
  expect(await other.getMany(keys)).toEqual(keys);
});

it.each([{}, { strict: true }])(
  'reads are answered from here, and Redis stays in charge: %o',
  async (options) => {
    const { cache, client: chaos } = open(options);
    await cache.set('k', 'copied');
    await cache.hset('h', 'f', 'copied');
    chaos.fail(full());
    let outcome: CacheOutcome = 'miss';
    expect(await cache.get('k', { onOutcome: (each) => (outcome = each) })).toBe('copied');
    expect(outcome).toBe('fallback');
    expect(await cache.hget('h', 'f')).toBe('copied');
    expect(await cache.getOrSet('k', () => 'loaded')).toBe('copied');
    expect(await cache.getOrSet('l', () => 'loaded')).toBe('loaded');
    expect(await cache.getOrSetMany(['k', 'm'], (keys) => keys.map(String))).toEqual(['copied', 'm']);
    expect(cache.state).toMatchObject({ mode: 'redis', journal: 0 });
  },
);

it('writes reject, or answer as those do that are ignored, and leave no copy behind', async () => {
  const { cache, client: chaos, other } = open();
  await cache.set('k', 'old');
  chaos.fail(full());
  const refused = { code: 'BACKPRESSURE' };
  await expect(cache.set('k', 'new')).rejects.toMatchObject(refused);
  await expect(cache.delete('k')).rejects.toMatchObject(refused);
  await expect(cache.incr('n')).rejects.toMatchObject(refused);
  await expect(cache.invalidateTags('t')).rejects.toMatchObject(refused);
  expect(await cache.namespace('lax', { onWriteError: 'ignore' }).set('k', 1)).toBe(false);
  expect(cache.state).toMatchObject({ mode: 'redis', journal: 0, uncertainIncrements: 0 });
  expect(await cache.get('k')).toBeUndefined();
  expect(await other.get('n')).toBeUndefined();
});

it('a replay that meets it loses nothing', async () => {
  const { cache, client: chaos, other } = open();
  await other.hset('h', { f: 'old', g: 'old' });
  chaos.fail(new NotConnectedError('the server is away'));
  await cache.incr('n', 5);
  await cache.hset('h', 'f', 'new');
  chaos.fail(full(), 0.5);
  await expect.poll(() => cache.state.mode, { interval: 5, timeout: 8_000 }).toBe('redis');
  expect(await other.get('n')).toBe(5);
  expect([await other.hget('h', 'f'), await other.hget('h', 'g')]).toEqual(['new', 'old']);
  expect(cache.state.uncertainIncrements).toBe(0);
}, 15_000);
