/** Loads that went wrong in quiet: tags that name nothing, loaders that wait for themselves, and callers who leave. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { clientButFor } from '../../../testing/scenes/client-but-for.js';
import { gate, openStillCache, settled, type StillCache } from '../../../testing/scenes/still-cache.js';
import type { RedisClient } from '../../connection/index.js';
import type { CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';
import type { LoadContext } from '../call.options.js';

function open(options: CacheOptions = {}, wrap?: (inner: RedisClient) => RedisClient): StillCache {
  const stage = openStillCache(options, wrap);
  onTestFinished(() => stage.close());
  return stage;
}

const NO_TAG = { code: 'INVALID_CACHE_KEY' };

describe('a tag that names nothing', () => {
  it('fails the call with the error of set, and is no failure of Redis', async () => {
    const { cache } = open();
    const options = { tags: ['t', ''] };
    let calls = 0;
    const load = (): number => (calls += 1);
    await expect(cache.set('k', 1, options)).rejects.toMatchObject(NO_TAG);
    await expect(cache.getOrSet('k', load, options)).rejects.toMatchObject(NO_TAG);
    await expect(cache.getOrSetMany(['k', 'l'], () => [1, 2], options)).rejects.toMatchObject(NO_TAG);
    expect([calls, cache.stats().failures]).toEqual([0, 0]);
  });

  it('fails a loader that sets it, and the key is free at once', async () => {
    const { cache } = open();
    const load = ({ setTags }: LoadContext): number => {
      setTags(['']);
      return 1;
    };
    await expect(cache.getOrSet('k', load)).rejects.toMatchObject(NO_TAG);
    expect((await cache.explain('k')).lease).toBeUndefined();
    expect(await cache.getOrSet('k', () => 2)).toBe(2);
    expect(cache.stats().failures).toBe(0);
  });
});

it('a load whose value could not be stored gives its lease back, whatever the reason', async () => {
  const broken = (inner: RedisClient): RedisClient =>
    clientButFor(inner, 'run', (run) => (...args) => {
      const { name } = args[0] as { name: string };
      return name === 'cache.fill' ? Promise.reject(new Error('no')) : run(...args);
    });
  const { cache } = open({}, broken);
  expect(await cache.getOrSet('k', () => 1)).toBe(1);
  await settled();
  expect((await cache.explain('k')).lease).toBeUndefined();
});

describe('a loader that would wait for itself', () => {
  it.each(['first', 'second'])(
    'of many keys: asking for the %s of its own is refused at once',
    async (own) => {
      const { cache } = open();
      const load = async (): Promise<number[]> => [await cache.getOrSet(own, () => 5), 2];
      await expect(cache.getOrSetMany(['first', 'second'], load)).rejects.toMatchObject({
        code: 'CACHE_RECURSIVE_LOAD',
      });
      const around = cache.getOrSet('outer', () => cache.getOrSetMany(['a', 'b'], () => again()));
      const again = async (): Promise<number[]> => [1, await cache.getOrSet('outer', () => 2)];
      await expect(around).rejects.toMatchObject({ code: 'CACHE_RECURSIVE_LOAD' });
    },
  );

  it('of many keys: any other key is loaded', async () => {
    const { cache } = open();
    const load = async (): Promise<number[]> => [await cache.getOrSet('other', () => 1), 2];
    expect(await cache.getOrSetMany(['a', 'b'], load)).toEqual([1, 2]);
    expect(await cache.getOrSet('c', async () => cache.getOrSetMany(['d'], () => [3]))).toEqual([3]);
  });

  it('a key of the same name on another server is another key', async () => {
    const [{ cache: near }, { cache: far }] = [open(), open()];
    expect(await near.getOrSet('k', () => far.getOrSet('k', () => 7))).toBe(7);
    const round = near.getOrSet('l', () => far.getOrSet('l', () => near.getOrSet('l', () => 8)));
    await expect(round).rejects.toMatchObject({ code: 'CACHE_RECURSIVE_LOAD' });
  });

  it('a key of another cache on the same server is the same key', async () => {
    const { cache, client, clock } = open();
    const other = new CacheService({ client, namespace: 'app', clock });
    const refused = { code: 'CACHE_RECURSIVE_LOAD' };
    await expect(cache.getOrSet('k', () => other.getOrSet('k', () => 1))).rejects.toMatchObject(refused);
    const many = async (): Promise<number[]> => [await other.getOrSet('a', () => 1), 2];
    await expect(cache.getOrSetMany(['a', 'b'], many)).rejects.toMatchObject(refused);
    await other.disconnect();
  });
});

describe('callers who leave', () => {
  it('a load that nobody waited out has failed: the origin is left alone for a while', async () => {
    const { cache, clock } = open({ staleOnError: '1h', retryAfter: '10s' });
    await cache.getOrSet('k', () => 'old', { ttl: '1s' });
    await clock.advanceAsync(1_500);
    let calls = 0;
    const hang = (): Promise<string> => {
      calls += 1;
      return new Promise(() => undefined);
    };
    for (let turn = 0; turn < 3; turn += 1) {
      const answer = cache.getOrSet('k', hang, { timeout: { hard: '100ms' } });
      await settled();
      if (turn === 0) await clock.advanceAsync(100);
      expect(await answer).toBe('old');
    }
    expect([calls, cache.stats().loadFailures]).toEqual([1, 1]);
    await clock.advanceAsync(10_100);
    expect(await cache.getOrSet('k', () => 'new')).toBe('new');
  });

  it('a load that had to wait for its turn until then has not failed: others may load', async () => {
    const { cache, clock } = open({ maxLoads: 1, staleOnError: '1h', retryAfter: '10s' });
    await cache.getOrSet('k', () => 'old', { ttl: '1s' });
    await clock.advanceAsync(1_500);
    let finish: (value: number) => void = () => undefined;
    const other = cache.getOrSet('other', () => new Promise<number>((resolve) => (finish = resolve)));
    await settled();
    const waiting = cache.getOrSet('k', () => 'new', { timeout: { hard: '100ms' } });
    await settled();
    await clock.advanceAsync(100);
    expect(await waiting).toBe('old');
    finish(1);
    await other;
    expect(await cache.getOrSet('k', () => 'new')).toBe('new');
  });

  it('nobody waits any more when the lease is granted: the loader does not run, and the key is free', async () => {
    const [asking, granting] = [gate(), gate()];
    const slow = (inner: RedisClient): RedisClient =>
      clientButFor(inner, 'command', (command) => async (...args) => {
        const reply = await command(...args);
        if (args[0] !== 'SET') return reply;
        asking.pass();
        await granting.passed;
        return reply;
      });
    const { cache } = open({}, slow);
    const controller = new AbortController();
    let calls = 0;
    const load = (): number => (calls += 1);
    const leaving = cache.getOrSet('k', load, { signal: controller.signal });
    await asking.passed;
    controller.abort(new Error('not interested'));
    await expect(leaving).rejects.toThrow('not interested');
    granting.pass();
    await settled();
    expect(calls).toBe(0);
    expect(await cache.get('k')).toBeUndefined();
    expect((await cache.explain('k')).lease).toBeUndefined();
    expect(await cache.getOrSet('k', () => 7)).toBe(7);
  });
});
