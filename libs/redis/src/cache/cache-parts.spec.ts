/** The small parts on their own: keys, options, clocks, rules with a random part, the cap on loads. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../testing/index.js';
import { createClient, keySlot, resolveConnection } from '../connection/index.js';
import { CacheKeys } from './cache.keys.js';
import { CACHE_DEFAULTS, resolveCache, type CacheOptions } from './cache.options.js';
import { isDueEarly, jittered } from './loading/early-refresh.js';
import { describeFailure, reviveFailure } from './loading/load-failure.js';
import { LoadSlots } from './loading/load-slots.js';
import { CacheService } from './cache-service.js';
import type { CacheEntry } from './store.js';
import { NO_CLOCK, RedisTagClocks, SeenClock } from './tag-clocks.js';
import { freshness, isCurrent, isServable } from './validity.js';

const entry = (given: Partial<CacheEntry> = {}): CacheEntry => ({
  value: 1,
  createdAt: 0,
  softExpiresAt: 1_000,
  expiresAt: 2_000,
  clock: 5,
  loadMs: 100,
  negative: false,
  tags: [],
  ...given,
});

describe('keys', () => {
  const keys = new CacheKeys('app', 'books');

  it('stand as the documentation says', () => {
    expect(keys.value(['user', 42])).toBe('app:v1:cache:books:{user:42}');
    expect(keys.lease(keys.value('user:42'))).toBe('app:v1:lease:books:{user:42}');
    expect(keys.wake(keys.value('user:42'))).toBe('app:v1:wake:books:{user:42}');
    expect(keys.valueOfLease(keys.lease(keys.value('a')))).toBe(keys.value('a'));
    expect(keys.tag('user:42')).toBe('app:v1:tag:{user:42}');
    expect([keys.clock, keys.flush]).toEqual(['app:v1:clock', 'app:v1:tag:{%flush:books}']);
  });

  it('of a list that has changed is another one', () => {
    const list = ['user', 42];
    const key = keys.value(list);
    list[1] = 43;
    expect([key, keys.value(list)]).toEqual([keys.value(['user', 42]), keys.value(['user', 43])]);
    const frozen = Object.freeze(['user', 42]);
    expect([keys.value(frozen), keys.value(frozen)]).toEqual([key, key]);
  });

  const segments = fc.array(fc.oneof(fc.string(), fc.integer()), { minLength: 1, maxLength: 4 });

  it('of a value and its lease share a slot, whatever a user typed', () => {
    fc.assert(
      fc.property(segments, (key) => {
        fc.pre(key.join('') !== '' || key.length > 1);
        const value = keys.value(key);
        expect(keySlot(value)).toBe(keySlot(keys.lease(value)));
      }),
    );
  });

  it('are different for different segments, and no tag is the flush', () => {
    fc.assert(
      fc.property(segments, segments, (one, other) => {
        fc.pre(one.join('') !== '' && other.join('') !== '');
        const same =
          one.map(String).join('\0') === other.map(String).join('\0') && one.length === other.length;
        expect(keys.value(one) === keys.value(other)).toBe(same);
        expect(keys.tag(one)).not.toBe(keys.flush);
      }),
    );
  });
});

describe('options', () => {
  it('have the defaults that are written down', () => {
    const resolved = resolveCache();
    expect(resolved).toMatchObject({ ttlMs: 3_600_000, staleMs: 0, staleOnErrorMs: 3_600_000, jitter: 0.1 });
    expect(resolved).toMatchObject({ hardTimeoutMs: 30_000, softTimeoutMs: Infinity, maxLoads: 100 });
    expect(resolved.leaseMs).toBe(2_000);
    expect(CACHE_DEFAULTS.onWriteError).toBe('reject');
  });

  it.each<[CacheOptions, RegExp]>([
    [{ jitter: 2 }, /cache\.jitter: 2/u],
    [{ jitter: NaN }, /cache\.jitter: NaN/u],
    [{ maxLoads: 0 }, /cache\.maxLoads: 0/u],
    [{ maxLoads: 1.5 }, /cache\.maxLoads: 1\.5/u],
    [{ lease: '20ms' }, /cache\.lease: '20ms'/u],
    [{ ttl: '0s' }, /ttl: '0s'/u],
    [{ loadTimeout: { hard: '0s' } }, /cache\.loadTimeout\.hard/u],
    [{ schema: 70_000 }, /cache\.schema: 70000/u],
  ])('%j is refused with the value in the message', (options, message) => {
    expect(() => resolveCache(options)).toThrow(message);
  });
});

describe('validity', () => {
  it.each([
    [{}, { flush: NO_CLOCK, tags: [] }, true],
    [{}, { flush: 5, tags: [] }, true],
    [{}, { flush: 6, tags: [] }, false],
    [{ tags: ['t'] }, { flush: NO_CLOCK, tags: [5] }, true],
    [{ tags: ['t', 'u'] }, { flush: NO_CLOCK, tags: [0, 6] }, false],
    [{ tags: ['t'] }, { flush: NO_CLOCK, tags: [NO_CLOCK] }, false],
  ])('%j under %j counts: %s', (given, clocks, expected) => {
    expect(isCurrent(entry(given), clocks)).toBe(expected);
  });

  it('is fresh, then stale, then expired', () => {
    const states = [999, 1_000, 1_999, 2_000].map((now) => freshness(entry(), now));
    expect(states).toEqual(['fresh', 'stale', 'stale', 'expired']);
    expect(freshness(entry({ softExpiresAt: undefined, expiresAt: undefined }), 1e15)).toBe('fresh');
  });

  it('is within a bound for less than the bound, and within none by no more than being fresh', () => {
    const within = (now: number, withinMs: number): boolean => isServable(entry(), now, withinMs);
    expect([within(999, 0), within(1_000, 0)]).toEqual([true, false]);
    expect([within(1_000, 500), within(1_499, 500), within(1_500, 500)]).toEqual([true, true, false]);
    expect(isServable(entry({ softExpiresAt: undefined }), 1e15, 0)).toBe(true);
  });
});

describe('rules with a random part', () => {
  it('a refresh ahead of the expiry is the likelier, the nearer it is and the slower the loader', () => {
    const share = (left: number, loadMs: number): number => {
      let due = 0;
      for (let i = 0; i < 1_000; i += 1) {
        if (isDueEarly(entry({ loadMs }), 1_000 - left, () => i / 1_000)) due += 1;
      }
      return due / 1_000;
    };
    expect(share(0, 100)).toBe(1);
    expect(share(100, 100)).toBeCloseTo(Math.exp(-1), 2);
    expect(share(100, 50)).toBeCloseTo(Math.exp(-2), 2);
    expect(share(5_000, 100)).toBe(0);
    expect(isDueEarly(entry({ loadMs: 0 }), 999, () => 0.999)).toBe(false);
    expect(isDueEarly(entry({ softExpiresAt: undefined }), 999, () => 0.999)).toBe(false);
  });

  it('jitter shortens, by its share at most', () => {
    expect([0, 0.5, 1].map((drawn) => jittered(1_000, 0.1, () => drawn))).toEqual([1_000, 950, 900]);
    expect(jittered(1, 1, () => 1)).toBe(1);
  });

  it('a loaded entry is refreshed behind its readers before it expires', async () => {
    const clock = new FakeClock();
    const client = createClient(resolveConnection('t', { topology: 'embedded' }, []), { clock });
    const cache = new CacheService({ client, namespace: 'app', clock, random: () => 0.7 }, { jitter: 0 });
    let calls = 0;
    const load = async (): Promise<number> => {
      calls += 1;
      await new Promise<void>((resolve) => clock.after(100, resolve));
      return calls;
    };
    const first = cache.getOrSet('k', load, { ttl: '10s' });
    await clock.advanceAsync(150);
    expect(await first).toBe(1);
    await clock.advanceAsync(9_850);
    expect(await cache.getOrSet('k', load, { ttl: '10s' })).toBe(1);
    await clock.advanceAsync(150);
    expect(await cache.get('k')).toBe(2);
    expect(calls).toBe(2);
    const closing = cache.disconnect();
    await clock.advanceAsync(10);
    await closing;
    await client.disconnect();
  });
});

describe('a failure on its way to others', () => {
  it('keeps name, message and code, and nothing else', () => {
    const error = Object.assign(new TypeError('no'), { code: 'E_NO', row: { secret: 1 } });
    const revived = reviveFailure(describeFailure(error));
    expect([revived.name, revived.message, Reflect.get(revived, 'code')]).toEqual([
      'TypeError',
      'no',
      'E_NO',
    ]);
    expect(Reflect.get(revived, 'row')).toBeUndefined();
  });

  it('survives whatever stands there instead', () => {
    for (const stored of [undefined, null, 5, 'x', {}, { message: 5 }]) {
      expect(reviveFailure(stored)).toBeInstanceOf(Error);
    }
    expect(describeFailure('thrown').message).not.toContain('thrown text');
  });
});

describe('the cap on loads', () => {
  it('lets that many in, and the next ones in their order', async () => {
    const slots = new LoadSlots(1);
    const load = new AbortController();
    const leave = await slots.take(load);
    const order: number[] = [];
    const waiting = [1, 2].map(async (number) => {
      const done = await slots.take(load);
      order.push(number);
      done();
    });
    leave();
    leave();
    await Promise.all(waiting);
    expect([order, slots.taken]).toEqual([[1, 2], 0]);
  });

  it('who gives up frees his place in the queue', async () => {
    const slots = new LoadSlots(1);
    const leave = await slots.take(new AbortController());
    const controller = new AbortController();
    const waiting = slots.take(controller);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    leave();
    expect(slots.taken).toBe(0);
  });
});

describe('clocks in Redis', () => {
  it('are asked for once in a tick, and again in the next', async () => {
    const client = createClient(resolveConnection('t', { topology: 'embedded' }, []));
    const seen = new SeenClock();
    const clocks = new RedisTagClocks(client, seen);
    await client.command('SET', ['t', '7']);
    const [one, other] = [clocks.read(['t', 'u']), clocks.read(['t'])];
    await client.command('SET', ['t', '8']);
    expect([await one, await other, seen.value]).toEqual([[7, NO_CLOCK], [7], 7]);
    expect(await clocks.read(['t'])).toEqual([8]);
    await client.disconnect();
  });
});
