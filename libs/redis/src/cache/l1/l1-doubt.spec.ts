/** Copies of which nobody can say whether they still hold: when they are served, and when never. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createChaosClient, FakeClock } from '../../../testing/index.js';
import {
  createClient,
  NotConnectedError,
  resolveConnection,
  type RedisClient,
  type TrackOptions,
  type TrackingState,
} from '../../connection/index.js';
import type { CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';
import type { CacheOutcome } from '../call.options.js';
import { NearCache } from './l1-near-cache.js';
import { resolveL1, type L1Options } from './l1.options.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** A cache over the embedded client, whose tracking and whose failures come when the test says so. */
function open(options: CacheOptions = {}, l1Options: L1Options = {}) {
  const clock = new FakeClock({ wallMs: Date.now() });
  const embedded = createClient(resolveConnection('doubt', { topology: 'embedded' }, []));
  const chaos = createChaosClient(embedded);
  let told: TrackOptions | undefined;
  let state: TrackingState = 'tracking';
  const become = (next: TrackingState): void => {
    state = next;
    told?.onState(next, 'by hand');
  };
  const track: RedisClient['track'] = (given) => {
    told = given;
    return {
      get state() {
        return state;
      },
      reason: 'by hand',
      close: () => Promise.resolve(),
    };
  };
  const client = Object.defineProperty(chaos, 'track', { value: track });
  const l1 = resolveL1(l1Options);
  if (l1 === false) throw new Error('it is on');
  const near = new NearCache({ client, l1, clock });
  const settings = { jitter: 0, earlyRefresh: false, ...options };
  const cache = new CacheService({ client, namespace: 'app', clock, tiers: near.tiers }, settings);
  near.start();
  onTestFinished(async () => {
    await cache.disconnect({ drain: '0s' });
    await embedded.disconnect();
  });
  const outcomes: CacheOutcome[] = [];
  return {
    clock,
    cache,
    near,
    outcomes,
    become,
    /** Somebody else changes Redis; nobody tells. */
    elsewhere: new CacheService({ client: embedded, namespace: 'app', clock }, settings),
    read: (key: string): Promise<unknown> =>
      cache.get(key, { onOutcome: (outcome) => void outcomes.push(outcome) }),
    load: (key: string, loader: () => unknown): Promise<unknown> =>
      cache.getOrSet(key, loader, { onOutcome: (outcome) => void outcomes.push(outcome) }),
    announce: (keys: readonly string[] | 'all') => told?.onInvalidate(keys),
    /** Tracking and the connection for data are lost. */
    lose: () => {
      chaos.fail(new NotConnectedError('the server is away'));
      become('lost');
    },
    /** Only the connection for data comes back. */
    answer: () => chaos.heal(),
    /** Calls from now on are not heard of until their deadline. */
    hang: () => chaos.partition(),
    answerNot: () => chaos.fail(new NotConnectedError('the server is away')),
    returnFully: () => {
      chaos.heal();
      become('tracking');
    },
  };
}

/** Stored, read twice, and so held. */
async function warm(
  { cache }: ReturnType<typeof open>,
  key: string,
  { value = 'kept', tags = [] }: { value?: unknown; tags?: string[] } = {},
): Promise<void> {
  await cache.set(key, value, { tags });
  await cache.get(key);
  let outcome: CacheOutcome = 'miss';
  await cache.get(key, { onOutcome: (each) => void (outcome = each) });
  expect(outcome).toBe('l1');
}

describe('a copy in doubt', () => {
  it('is served as stale while Redis fails, and explain says so', async () => {
    const parts = open();
    await warm(parts, 'k', { tags: ['t'] });
    parts.lose();
    parts.clock.advance(3 * SECOND);
    expect(await parts.read('k')).toBe('kept');
    expect(parts.outcomes).toEqual(['stale']);
    expect(await parts.cache.has('k')).toBe(true);
    const explained = await parts.cache.explain('k');
    expect(explained).toMatchObject({ state: 'doubtful', tier: 'l1', tags: [{ tag: 't', valid: true }] });
    expect(explained.why).toContain('3.0 s ago');
    expect(parts.near.stats()).toMatchObject({ entries: 0, doubtful: 1, clocks: 0 });
    expect(parts.cache.stats()).toMatchObject({ stale: 1 });
    await expect(parts.cache.explain('other')).rejects.toThrow('away');
  });

  it('is not served while Redis can be asked, and what it says replaces the copy', async () => {
    const parts = open();
    await warm(parts, 'k');
    await warm(parts, 'gone');
    parts.become('lost');
    await parts.elsewhere.set('k', 'newer');
    await parts.elsewhere.delete('gone');
    expect(await parts.read('k')).toBe('newer');
    expect(await parts.read('gone')).toBeUndefined();
    expect(parts.outcomes).toEqual(['l2', 'miss']);
    parts.answerNot();
    expect(await parts.read('k')).toBe('newer');
    expect(await parts.read('gone')).toBeUndefined();
    expect(parts.outcomes.slice(2)).toEqual(['stale', 'miss']);
  });

  it('is dropped for good when changes can be followed again', async () => {
    const parts = open();
    await warm(parts, 'k');
    parts.lose();
    parts.become('refused');
    parts.returnFully();
    expect(parts.near.stats()).toMatchObject({ entries: 0, doubtful: 0 });
    parts.lose();
    expect(await parts.read('k')).toBeUndefined();
    expect(parts.outcomes).toEqual(['miss']);
  });

  it('is dropped when the near cache or the connection is closed', async () => {
    const parts = open();
    await warm(parts, 'k');
    parts.lose();
    await parts.near.close();
    expect(await parts.read('k')).toBeUndefined();
  });

  it('is announced like any other: in a cluster only some of the servers are away', async () => {
    const parts = open();
    await warm(parts, 'k');
    await warm(parts, 'l');
    parts.lose();
    parts.announce(['app:v1:cache:default:{k}']);
    expect(await parts.read('k')).toBeUndefined();
    expect(await parts.read('l')).toBe('kept');
    parts.announce('all');
    expect(await parts.read('l')).toBeUndefined();
  });

  it('is served for staleOnError from the loss on, whatever l1.ttl says', async () => {
    const parts = open({ staleOnError: '10m' }, { ttl: '1m' });
    await warm(parts, 'k');
    parts.clock.advance(59 * SECOND);
    parts.lose();
    parts.clock.advance(10 * MINUTE);
    expect(await parts.read('k')).toBe('kept');
    parts.clock.advance(1);
    expect(await parts.read('k')).toBeUndefined();
  });

  it('was not one any more when its time in memory was over before the loss', async () => {
    const parts = open({}, { ttl: '1m' });
    await warm(parts, 'k');
    parts.clock.advance(MINUTE);
    parts.lose();
    expect(await parts.read('k')).toBeUndefined();
  });

  it('ends with its own expiry: what was set with a ttl is not served beyond it', async () => {
    const parts = open();
    await parts.cache.set('k', 'short', '5s');
    await parts.cache.get('k');
    await parts.cache.getOrSet('loaded', () => 'long', { ttl: '5s', staleOnError: '1h' });
    await parts.cache.get('loaded');
    await parts.cache.get('loaded');
    parts.lose();
    expect(await parts.read('k')).toBe('short');
    parts.clock.advance(5 * SECOND);
    expect(await parts.read('k')).toBeUndefined();
    // A loaded entry lies there for when its load fails.
    expect(await parts.read('loaded')).toBe('long');
  });

  it('strict caches throw instead', async () => {
    const parts = open({ strict: true });
    await warm(parts, 'k');
    parts.lose();
    await expect(parts.read('k')).rejects.toThrow('away');
  });

  it('keeps its isolation', async () => {
    const parts = open({}, { isolation: 'copy' });
    await warm(parts, 'k', { value: { list: [1] } });
    parts.lose();
    const one = (await parts.read('k')) as { list: number[] };
    one.list.push(2);
    expect(await parts.read('k')).toEqual({ list: [1] });
  });

  it('stays within the bounds', async () => {
    const parts = open({}, { maxEntries: 2 });
    for (const key of ['a', 'b', 'c']) await warm(parts, key);
    parts.lose();
    expect(parts.near.stats()).toMatchObject({ doubtful: 2 });
    expect(await parts.read('a')).toBeUndefined();
    for (const key of ['b', 'c', 'd']) await parts.load(key, () => 'x'.repeat(100_000));
    expect(parts.near.stats().doubtful).toBeLessThanOrEqual(2);
  });
});

describe('an invalidation by this process, though Redis is away', () => {
  it.each<[string, (cache: CacheService) => Promise<unknown>]>([
    ['delete', (cache) => cache.delete('k')],
    ['deleteMany', (cache) => cache.deleteMany(['x', 'k'])],
    ['set', (cache) => cache.set('k', 'new')],
    ['expire', (cache) => cache.expire('k', '1m')],
    ['invalidateTags', (cache) => cache.invalidateTags('t')],
    ['deletePrefix', (cache) => cache.deletePrefix('k')],
    ['flush', (cache) => cache.flush()],
  ])('%s: its outcome is unknown, and the copy goes at once', async (name, change) => {
    const parts = open();
    await warm(parts, 'k', { tags: ['t'] });
    await warm(parts, 'other');
    parts.lose();
    expect(await parts.read('k')).toBe('kept');
    parts.hang();
    const failing = expect(change(parts.cache)).rejects.toThrow();
    parts.answerNot();
    // `expire` reads before it writes; what it could not read it has not changed.
    if (name !== 'expire') expect(await parts.read('k')).toBeUndefined();
    await failing;
    expect(await parts.read('k')).toBe(name === 'expire' ? 'kept' : undefined);
    expect(await parts.read('other')).toBe(name === 'flush' ? undefined : 'kept');
  });
});

describe('a load while Redis is away', () => {
  it('answers with the copy, and loads anew behind it, at most once in retryAfter', async () => {
    const parts = open({ retryAfter: '5s' });
    await warm(parts, 'k');
    parts.lose();
    let loads = 0;
    const loader = (): string => `loaded ${(loads += 1)}`;
    const burst = await Promise.all(Array.from({ length: 50 }, () => parts.load('k', loader)));
    expect(new Set(burst)).toEqual(new Set(['kept']));
    await parts.clock.advanceAsync(0);
    expect(loads).toBe(1);
    // The value is served from here on, in doubt since its load.
    for (let i = 0; i < 50; i += 1) expect(await parts.load('k', loader)).toBe('loaded 1');
    expect(loads).toBe(1);
    parts.clock.advance(5 * SECOND);
    expect(await parts.load('k', loader)).toBe('loaded 1');
    await parts.clock.advanceAsync(0);
    expect(await parts.read('k')).toBe('loaded 2');
    expect(new Set(parts.outcomes)).toEqual(new Set(['stale']));
  });

  it('keeps the copy when the loader fails, and tells nobody', async () => {
    const parts = open();
    await warm(parts, 'k');
    parts.lose();
    const failing = (): never => {
      throw new Error('the origin is down too');
    };
    for (let i = 0; i < 3; i += 1) {
      expect(await parts.load('k', failing)).toBe('kept');
      await parts.clock.advanceAsync(0);
      parts.clock.advance(5 * SECOND);
    }
    expect(parts.cache.stats()).toMatchObject({ loadFailures: 3 });
  });

  it('does not bring back what this process has invalidated while it ran', async () => {
    const parts = open();
    await warm(parts, 'k');
    parts.lose();
    let finish: (value: string) => void = () => undefined;
    expect(await parts.load('k', () => new Promise<string>((resolve) => (finish = resolve)))).toBe('kept');
    await parts.clock.advanceAsync(0);
    await expect(parts.cache.delete('k')).rejects.toThrow();
    finish('old');
    await parts.clock.advanceAsync(0);
    expect(await parts.read('k')).toBeUndefined();
  });

  it("does not freeze or keep the loader's own object", async () => {
    const parts = open();
    await warm(parts, 'k');
    parts.lose();
    const own = { list: [1] };
    await parts.load('k', () => own);
    await parts.clock.advanceAsync(0);
    own.list.push(2);
    expect(await parts.read('k')).toEqual({ list: [1] });
  });

  it('takes getOrSetMany the same way, and a cold key is loaded', async () => {
    const parts = open();
    await warm(parts, 'k');
    parts.lose();
    const asked: unknown[] = [];
    const loader = (keys: readonly unknown[]): string[] => {
      asked.push(...keys);
      return keys.map(() => 'loaded');
    };
    expect(await parts.cache.getOrSetMany(['k', 'cold'], loader)).toEqual(['kept', 'loaded']);
    await parts.clock.advanceAsync(0);
    expect(new Set(asked)).toEqual(new Set(['cold', 'k']));
  });
});
