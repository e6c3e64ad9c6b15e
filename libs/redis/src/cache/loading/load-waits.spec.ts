/** Loads that wait for their turn, and what may not wait for them; and whom a failure of others concerns. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { FakeClock } from '../../../testing/index.js';
import { createClient, resolveConnection } from '../../connection/index.js';
import type { CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';

function open(options: CacheOptions = {}) {
  const clock = new FakeClock();
  const client = createClient(resolveConnection('waits', { topology: 'embedded' }, []), { clock });
  const settings = { jitter: 0, earlyRefresh: false, ...options };
  const cache = new CacheService({ client, namespace: 'app', clock }, settings);
  onTestFinished(async () => {
    const closing = cache.disconnect({ drain: '1ms' });
    await clock.advanceAsync(10);
    await closing;
    await client.disconnect();
  });
  return { cache, clock };
}

/** Whatever is under way in this process goes as far as it can without time passing. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
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

function gate(): { readonly passed: Promise<void>; readonly pass: () => void } {
  let pass: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => (pass = resolve));
  return { passed, pass };
}

describe('a load that waits for a place under the cap, and that a loader waits for', () => {
  it('goes on without: the loader may hold the very place', async () => {
    const { cache } = open({ maxLoads: 1 });
    const { passed, pass: begin } = gate();
    const outer = cache.getOrSet('outer', async () => {
      await passed;
      return cache.getOrSet('inner', () => 'of the loader');
    });
    await settled();
    const inner = cache.getOrSet('inner', () => 'of who came first');
    const ends = endsOf([outer, inner]);
    await settled();
    expect(ends).toEqual(['under way', 'under way']);
    begin();
    await settled();
    expect(ends).toEqual(['of who came first', 'of who came first']);
  });

  it('also when it is one of many that are loaded together', async () => {
    const { cache } = open({ maxLoads: 1 });
    const { passed, pass: begin } = gate();
    const outer = cache.getOrSet('outer', async () => {
      await passed;
      return cache.getOrSet('b', () => 'of the loader');
    });
    await settled();
    const many = cache.getOrSetMany(['a', 'b'], (keys) => keys.map(String));
    const ends = endsOf([outer, many]);
    await settled();
    begin();
    await settled();
    expect(ends).toEqual(['b', ['a', 'b']]);
  });

  it('also when many are loaded together by the loader', async () => {
    const { cache } = open({ maxLoads: 1 });
    const { passed, pass: begin } = gate();
    const outer = cache.getOrSet('outer', async () => {
      await passed;
      return cache.getOrSetMany(['a', 'b'], (keys) => keys.map(String));
    });
    await settled();
    const inner = cache.getOrSet('b', () => 'first');
    const ends = endsOf([outer, inner]);
    await settled();
    begin();
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
  const failing = (): never => {
    throw new Error('the origin is down');
  };

  it('does not fail who may not be served what is stale: he loads anew', async () => {
    const { cache, clock } = open({ staleOnError: '1h', retryAfter: '10s' });
    await cache.getOrSet('k', () => 'old', { ttl: '1s' });
    await clock.advanceAsync(1_500);
    expect(await cache.getOrSet('k', failing)).toBe('old');
    await clock.advanceAsync(1_000);
    expect(await cache.getOrSet('k', () => 'new', { staleOnError: '0s' })).toBe('new');
  });

  it('nor one who joins another that is served so', async () => {
    const { cache, clock } = open({ staleOnError: '1h', retryAfter: '10s' });
    await cache.getOrSet('k', () => 'old', { ttl: '1s' });
    await clock.advanceAsync(1_500);
    expect(await cache.getOrSet('k', failing)).toBe('old');
    await clock.advanceAsync(1_000);
    const load = (): string => 'new';
    const calls = [cache.getOrSet('k', load), cache.getOrSet('k', load, { staleOnError: '0s' })];
    expect(await Promise.all(calls)).toEqual(['old', 'new']);
  });

  it('leaves the origin alone while all who ask may be served what is stale', async () => {
    const { cache, clock } = open({ staleOnError: '1h', retryAfter: '10s' });
    await cache.getOrSet('k', () => 'old', { ttl: '1s' });
    await clock.advanceAsync(1_500);
    expect(await cache.getOrSet('k', failing)).toBe('old');
    await clock.advanceAsync(1_000);
    const load = (): string => 'new';
    expect(await Promise.all([cache.getOrSet('k', load), cache.getOrSet('k', load)])).toEqual(['old', 'old']);
  });
});
