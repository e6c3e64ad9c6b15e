/** A cache that closes: loads under way go on, with all that they ask for themselves, and nobody else is let in. */
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  gate,
  loadUnderWay,
  openStillCache,
  settled,
  type StillCache,
} from '../../../testing/scenes/still-cache.js';
import type { CacheService } from '../cache-service.js';

function open(): StillCache {
  const stage = openStillCache();
  onTestFinished(() => stage.close());
  return stage;
}

const CLOSED = { code: 'CACHE_CLOSED' };

describe('a load under way while the cache closes', () => {
  it.each<[string, (cache: CacheService) => Promise<unknown>]>([
    ['one more key', (cache) => cache.getOrSet('inner', () => 1)],
    [
      'one more key in a loader of its own',
      (cache) => cache.getOrSet('a', () => cache.getOrSet('b', () => 1)),
    ],
    ['many', async (cache) => (await cache.getOrSetMany(['a', 'b'], () => [1, 2]))[0]],
    ['a key of another name', (cache) => cache.namespace('books').getOrSet('inner', () => 1)],
    ['what is stored', async (cache) => (await cache.get('there')) ?? 'nothing'],
  ])('may ask for %s', async (_what, ask) => {
    const { cache } = open();
    await cache.set('there', 1);
    const { outer, goOn } = await loadUnderWay(cache, () => ask(cache));
    const closing = cache.disconnect({ drain: '10s' });
    goOn();
    expect(await outer).toBe(1);
    await closing;
  });

  it('under one name may ask for a key of the cache it is named in', async () => {
    const { cache } = open();
    const { outer, goOn } = await loadUnderWay(cache.namespace('books'), () =>
      cache.getOrSet('inner', () => 1),
    );
    const closing = cache.disconnect({ drain: '10s' });
    await settled();
    goOn();
    expect(await outer).toBe(1);
    await closing;
  });

  it('lets nobody else in', async () => {
    const { cache } = open();
    const { outer, goOn } = await loadUnderWay(cache, () => 1);
    const closing = cache.disconnect({ drain: '10s' });
    await expect(cache.getOrSet('other', () => 1)).rejects.toMatchObject(CLOSED);
    await expect(cache.getOrSet('outer', () => 1)).rejects.toMatchObject(CLOSED);
    goOn();
    await outer;
    await closing;
  });

  it('may ask for nothing when the time is up, and what it had begun ends too', async () => {
    const { cache, clock } = open();
    const { passed, pass } = gate();
    const late: unknown[] = [];
    const outer = cache.getOrSet('outer', async ({ signal }) => {
      const inner = cache
        .getOrSet('inner', () => new Promise(() => undefined))
        .catch((error: unknown) => error);
      await passed;
      late.push(await inner, signal.aborted);
      return cache.getOrSet('late', () => 1).catch((error: unknown) => late.push(error));
    });
    outer.catch(() => undefined);
    await settled();
    const closing = cache.disconnect({ drain: '1s' });
    await clock.advanceAsync(1_000);
    await closing;
    await expect(outer).rejects.toMatchObject(CLOSED);
    pass();
    await settled();
    expect(late).toMatchObject([CLOSED, true, CLOSED]);
  });
});

describe('caches of other names', () => {
  it.each([
    ['10s', 5_000, 'loaded'],
    ['1s', 1_000, CLOSED],
  ] as const)('are given the %s of the one they are named in', async (drain, passes, end) => {
    const { cache, clock } = open();
    let ended: unknown;
    const { outer, goOn } = await loadUnderWay(cache.namespace('books'), () => 'loaded');
    outer.then(
      (value) => (ended = value),
      (error: unknown) => (ended = error),
    );
    const closing = cache.disconnect({ drain });
    await clock.advanceAsync(passes);
    goOn();
    await settled();
    expect(ended).toEqual(end === CLOSED ? expect.objectContaining(CLOSED) : end);
    await closing;
  });
});
