/**
 * What was found in other caches by running them, named after where it was found, and shown not to be here.
 * What needs several processes or a cluster is in the contract, and in test/faults-cache.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createChaosClient } from '../../testing/index.js';
import { createClient, resolveConnection, type RedisClient } from '../connection/index.js';
import { CacheService } from './cache-service.js';
import type { CacheOptions } from './cache.options.js';

function open(options: CacheOptions = {}): { cache: CacheService; other: CacheService; client: RedisClient } {
  const client = createClient(resolveConnection('defects', { topology: 'embedded' }, []));
  const make = (): CacheService => new CacheService({ client, namespace: 'app' }, { jitter: 0, ...options });
  const [cache, other] = [make(), make()];
  onTestFinished(async () => {
    await Promise.all([cache.disconnect(), other.disconnect()]);
    await client.disconnect();
  });
  return { cache, other, client };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('bentocache 1.6', () => {
  it('1: a value loaded before deleteByTag and delete came back for a full ttl', async () => {
    const { cache, other } = open();
    let database = 'old';
    const load = async (): Promise<string> => {
      const seen = database;
      await pause(20);
      return seen;
    };
    const loading = cache.getOrSet('k', load, { tags: ['t'] });
    await pause(5);
    database = 'new';
    await other.invalidateTags('t');
    await other.delete('k');
    await loading;
    expect(await cache.getOrSet('k', load, { tags: ['t'] })).toBe('new');
    expect(await other.getOrSet('k', load, { tags: ['t'] })).toBe('new');
  });

  it('2: a failing factory was run again by every waiter', async () => {
    const { cache } = open();
    let calls = 0;
    const load = async (): Promise<number> => {
      calls += 1;
      await pause(5);
      throw new Error('down');
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => cache.getOrSet('k', load)));
    expect(calls).toBe(1);
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  });

  it('4: a grace shorter than the ttl cut the ttl', async () => {
    const { cache } = open({ staleOnError: '10ms' });
    await cache.getOrSet('k', () => 1, { ttl: '10s' });
    await pause(25);
    expect(await cache.get('k')).toBe(1);
  });

  it('5: expire read and wrote in two steps, and could bring an older value back', async () => {
    const { cache } = open();
    await cache.set('k', 'old');
    const both = [cache.expire('k', '2h'), cache.set('k', 'new')];
    await Promise.all(both);
    expect(await cache.get('k')).toBe('new');
    const gone = [cache.expire('k', '2h'), cache.delete('k')];
    await Promise.all(gone);
    expect(await cache.get('k')).toBeUndefined();
  });

  it('8: getOrSet of undefined threw after the factory had run', async () => {
    const { cache } = open();
    expect(await cache.getOrSet('k', () => undefined)).toBeUndefined();
    expect(await cache.has('k')).toBe(false);
  });

  it('8: a value deleted by tag was served for its grace', async () => {
    const { cache } = open({ stale: '1h', staleOnError: '1h' });
    await cache.getOrSet('k', () => 'old', { tags: ['t'] });
    await cache.invalidateTags('t');
    expect(await cache.getOrSet('k', () => 'new', { tags: ['t'] })).toBe('new');
    expect(await cache.get('k', { stale: '1h' })).toBe('new');
  });
});

describe('cache-manager 7, cacheable 2.5, keyv 6', () => {
  it('0, false and the empty text were misses on another node', async () => {
    const { cache, other } = open();
    for (const value of [0, false, '', null]) {
      await cache.set('k', value);
      expect(await other.get('k')).toBe(value);
      expect(await other.getOrSet('k', () => 'loaded')).toBe(value);
    }
  });

  it('dates, maps and bigints did not come back as they went, and objects were stored as text in text', async () => {
    const { cache, other, client } = open();
    const value = { d: new Date(0), m: new Map([[1, 2n]]) };
    await cache.set('k', value);
    expect(await other.get('k')).toEqual(value);
    await cache.set('text', 'plain');
    const stored = await client.command<string>('GET', ['app:v1:cache:default:{text}']);
    expect(stored).not.toContain('\\"');
  });

  it("a caller's change of what it was given changed what others read", async () => {
    const { cache } = open();
    const mine = { a: 1 };
    await cache.set('k', mine);
    mine.a = 2;
    const first = await cache.get<{ a: number }>('k');
    if (first !== undefined) first.a = 3;
    expect(await cache.get('k')).toEqual({ a: 1 });
  });

  it("getOrSet swallowed the loader's error", async () => {
    const { cache } = open();
    await expect(cache.getOrSet('k', () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
  });

  it('get and set hung while Redis was down', async () => {
    const { client } = open();
    const chaos = createChaosClient(client, { timeoutMs: 30 });
    const cache = new CacheService({ client: chaos, namespace: 'app' });
    chaos.partition();
    const startedAt = performance.now();
    expect(await cache.get('k')).toBeUndefined();
    await expect(cache.set('k', 1)).rejects.toMatchObject({ code: 'COMMAND_TIMEOUT' });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('seconds were taken for milliseconds', async () => {
    const { cache } = open();
    await cache.set('k', 1, 60);
    expect(Math.round(Number(await cache.ttl('k')))).toBe(60);
  });

  it('what was stored without a ttl stayed for ever', async () => {
    const { cache, client } = open();
    await cache.set('k', 1);
    await cache.getOrSet('l', () => 1);
    await cache.incr('n');
    await cache.hset('h', 'f', 1);
    for (const key of ['k', 'l', 'n', 'h']) {
      expect(await client.command('PTTL', [`app:v1:cache:default:{${key}}`])).toBeGreaterThan(0);
    }
  });
});
