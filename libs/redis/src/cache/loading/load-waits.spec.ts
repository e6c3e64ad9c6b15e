/** Loads that wait for their turn, and what may not wait for them; and whom a failure of others concerns. */
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  gate,
  loadUnderWay,
  openStillCache,
  settled,
  type StillCache,
} from '../../../testing/scenes/still-cache.js';
import type { CacheOptions } from '../cache.options.js';
import type { CacheService } from '../cache-service.js';

function open(options: CacheOptions): StillCache {
  const stage = openStillCache(options);
  onTestFinished(() => stage.close());
  return stage;
}

/** How each of the calls has ended by now. */
function endsOf(calls: readonly Promise<unknown>[]): unknown[] {
  const ends: unknown[] = calls.map(() => 'under way');
  calls.forEach((call, i) => {
    call.then(
      (value) => (ends[i] = value),
      (error: unknown) => (ends[i] = String(error)),
    );
  });
  return ends;
}

describe('a load that waits for a place under the cap, and that a loader waits for', () => {
  it('goes on without: the loader may hold the very place', async () => {
    const { cache } = open({ maxLoads: 1 });
    const { outer, goOn } = await loadUnderWay(cache, () => cache.getOrSet('inner', () => 'of the loader'));
    const inner = cache.getOrSet('inner', () => 'of who came first');
    const ends = endsOf([outer, inner]);
    await settled();
    expect(ends).toEqual(['under way', 'under way']);
    goOn();
    await settled();
    expect(ends).toEqual(['of who came first', 'of who came first']);
  });

  it('also when it is one of many that are loaded together', async () => {
    const { cache } = open({ maxLoads: 1 });
    const { outer, goOn } = await loadUnderWay(cache, () => cache.getOrSet('b', () => 'of the loader'));
    const many = cache.getOrSetMany(['a', 'b'], (keys) => keys.map(String));
    const ends = endsOf([outer, many]);
    await settled();
    goOn();
    await settled();
    expect(ends).toEqual(['b', ['a', 'b']]);
  });

  it('also when many are loaded together by the loader', async () => {
    const { cache } = open({ maxLoads: 1 });
    const { outer, goOn } = await loadUnderWay(cache, () =>
      cache.getOrSetMany(['a', 'b'], (keys) => keys.map(String)),
    );
    const inner = cache.getOrSet('b', () => 'first');
    const ends = endsOf([outer, inner]);
    await settled();
    goOn();
    await settled();
    expect(ends).toEqual([['a', 'first'], 'first']);
  });

  it('takes no place from others, and gives back none', async () => {
    const { cache } = open({ maxLoads: 1 });
    const [started, finish] = [gate(), gate()];
    const outer = cache.getOrSet('outer', async () => {
      await started.passed;
      await cache.getOrSet('inner', () => 1);
      return finish.passed;
    });
    await settled();
    const inner = cache.getOrSet('inner', () => 1);
    const ends = endsOf([outer, inner, cache.getOrSet('next', () => 2)]);
    started.pass();
    await settled();
    expect(ends).toEqual(['under way', 1, 'under way']);
    finish.pass();
    await settled();
    expect(ends).toEqual([undefined, 1, 2]);
  });
});

describe('a load that has failed a moment ago', () => {
  /** `k` is stale there, and may be served so for an hour. */
  async function openAfterFailure(): Promise<CacheService> {
    const { cache, clock } = open({ staleOnError: '1h', retryAfter: '10s' });
    await cache.getOrSet('k', () => 'old', { ttl: '1s' });
    await clock.advanceAsync(1_500);
    const failing = (): never => {
      throw new Error('the origin is down');
    };
    expect(await cache.getOrSet('k', failing)).toBe('old');
    await clock.advanceAsync(1_000);
    return cache;
  }

  it('does not fail who may not be served what is stale: he loads anew', async () => {
    const cache = await openAfterFailure();
    expect(await cache.getOrSet('k', () => 'new', { staleOnError: '0s' })).toBe('new');
  });

  it('nor one who joins another that is served so', async () => {
    const cache = await openAfterFailure();
    const load = (): string => 'new';
    const calls = [cache.getOrSet('k', load), cache.getOrSet('k', load, { staleOnError: '0s' })];
    expect(await Promise.all(calls)).toEqual(['old', 'new']);
  });

  it('leaves the origin alone while all who ask may be served what is stale', async () => {
    const cache = await openAfterFailure();
    const load = (): string => 'new';
    expect(await Promise.all([cache.getOrSet('k', load), cache.getOrSet('k', load)])).toEqual(['old', 'old']);
  });
});
