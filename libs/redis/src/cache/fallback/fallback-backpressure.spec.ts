/** More calls at once than a connection takes are a load of this process, and say nothing about Redis. */
import { expect, it, onTestFinished } from 'vitest';
import { createChaosClient, type ChaosClient } from '../../../testing/index.js';
import {
  BackpressureError,
  createClient,
  NotConnectedError,
  resolveConnection,
  type RedisClient,
} from '../../connection/index.js';
import type { CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';
import type { CacheOutcome } from '../call.options.js';
import { FallbackCache } from './fallback-cache.js';

const MOST_IN_FLIGHT = 1_000;

function embedded(): RedisClient {
  return createClient(resolveConnection('redis', { topology: 'embedded' }, []));
}

/** Refuses what is too much, as a pool does. */
function capped(inner: RedisClient): RedisClient {
  let inFlight = 0;
  const counted = async (call: () => Promise<unknown>): Promise<unknown> => {
    if (inFlight >= MOST_IN_FLIGHT) throw full();
    inFlight += 1;
    await new Promise((resolve) => setTimeout(resolve, 1));
    return call().finally(() => (inFlight -= 1));
  };
  return new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const method = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
      if (name !== 'command' && name !== 'run') return method;
      return (...args: unknown[]) => counted(() => method(...args));
    },
  });
}

const full = (): Error => new BackpressureError('1000 calls are in flight');

interface Scene {
  readonly cache: FallbackCache;
  readonly chaos: ChaosClient;
  readonly other: CacheService;
}

function open(options: CacheOptions = {}): Scene {
  const client = embedded();
  const chaos = createChaosClient(capped(client), { timeoutMs: 1_000 });
  const cache = new FallbackCache(
    { client: chaos, standby: embedded(), namespace: 'app', ownsClient: true },
    { jitter: 0, earlyRefresh: false, ...options },
  );
  onTestFinished(() => cache.disconnect({ drain: '50ms' }));
  return { cache, chaos, other: new CacheService({ client, namespace: 'app' }, { jitter: 0 }) };
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
    const { cache, chaos } = open(options);
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
  const { cache, chaos, other } = open();
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
  const { cache, chaos, other } = open();
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
