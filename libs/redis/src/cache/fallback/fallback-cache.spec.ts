/** What becomes of each call while Redis is away, and after: over a client that fails on command. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createChaosClient, type ChaosClient } from '../../../testing/index.js';
import { clientButFor } from '../../../testing/scenes/client-but-for.js';
import { embeddedRedis, openFallback } from '../../../testing/scenes/fallback-scene.js';
import {
  NotConnectedError,
  OutcomeUnknownError,
  RedisReplyError,
  type RedisClient,
} from '../../connection/index.js';
import { onTelemetry, type TelemetryEvent } from '../../core/index.js';
import type { CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';
import type { CacheOutcome } from '../call.options.js';
import { FallbackCache, type FallbackState } from './fallback-cache.js';
import type { FallbackSurroundings } from './fallback-standby.js';

const DEADLINE_MS = 60;

interface Scene {
  readonly cache: FallbackCache;
  readonly chaos: ChaosClient;
  /** What stands in Redis, by somebody else's eyes. */
  readonly other: CacheService;
  readonly cut: (error?: Error) => void;
  readonly back: () => Promise<void>;
}

function open(options: CacheOptions = {}, more: Partial<FallbackSurroundings> = {}): Scene {
  const failing = (inner: RedisClient): ChaosClient => createChaosClient(inner, { timeoutMs: DEADLINE_MS });
  const { cache, client: chaos, other } = openFallback(failing, options, more);
  onTestFinished(() => cache.disconnect({ drain: '50ms' }));
  return {
    cache,
    chaos,
    other,
    cut: (error = down()) => chaos.fail(error),
    async back() {
      chaos.heal();
      chaos.latency(0);
      await expect.poll(() => cache.state.mode, { interval: 5, timeout: 5_000 }).toBe('redis');
    },
  };
}

const down = (): Error => new NotConnectedError('the server is away');
const unknown = (): Error => new OutcomeUnknownError('the server said nothing');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Commands are executed at once, and told of later. Scripts are not held. */
function lateAnswers(inner: RedisClient): { client: RedisClient; hold: () => void; release: () => void } {
  let held: Promise<void> | undefined;
  let release: () => void = () => undefined;
  const client = clientButFor(inner, 'command', (command) => async (...args) => {
    const reply = command(...args);
    await held;
    return reply;
  });
  const hold = (): void => {
    held = new Promise((resolve) => (release = resolve));
  };
  return { client, hold, release: () => release() };
}

async function outcomeOf(cache: FallbackCache, key: string): Promise<[unknown, CacheOutcome | undefined]> {
  let outcome: CacheOutcome | undefined;
  const value = await cache.get(key, { onOutcome: (each) => (outcome = each) });
  return [value, outcome];
}

describe('while Redis is away', () => {
  it('what was read, set or loaded before is still there, with its tags and its end, and says where it is from', async () => {
    const { cache, other, cut } = open();
    await other.set('read', 1, { tags: ['t'] });
    await cache.get('read');
    await cache.set('set', 2, { ttl: '1s', tags: ['t'] });
    await cache.getOrSet('loaded', () => 3, { tags: ['u'] });
    await other.hset('hash', { f: 4 });
    await cache.hget('hash', 'f');
    await cache.incr('count', 5);
    cut();
    expect(await cache.getMany(['read', 'set', 'loaded', 'count'])).toEqual([1, 2, 3, 5]);
    expect(await cache.hget('hash', 'f')).toBe(4);
    expect(await outcomeOf(cache, 'read')).toEqual([1, 'fallback']);
    expect(await cache.explain('read')).toMatchObject({ source: 'copy', tier: 'fallback', state: 'fresh' });
    expect(cache.stats()).toMatchObject({ fallbackHits: 5, hitRate: expect.any(Number) as number });
    await expect.poll(() => cache.get('set'), { interval: 20, timeout: 5_000 }).toBeUndefined();
    await cache.invalidateTags('t');
    expect(await cache.getMany(['read', 'loaded'])).toEqual([undefined, 3]);
  });

  it('what this process had changed before is not there as it was', async () => {
    const { cache, other, cut } = open();
    const keys = ['deleted', 'set', 'tagged', 'pre:fix', 'expired', 'kept'];
    for (const key of keys) await other.set(key, 'old', { tags: key === 'tagged' ? ['t'] : [] });
    const second = cache.namespace('second');
    await second.set('k', 'old');
    await cache.hset('h', { f: 'old', g: 'old' });
    await cache.incr('n', 7);
    await Promise.all([cache.getMany(keys), cache.get('n'), cache.hget('h', 'f'), second.get('k')]);
    await cache.delete('deleted');
    await cache.set('set', 'new');
    await cache.invalidateTags('t');
    await cache.deletePrefix('pre:');
    await cache.expire('expired', '1ms');
    await second.flush();
    await Promise.all([
      cache.hset('h', 'f', 'new'),
      cache.hset('h', 'g', 'new'),
      cache.incr('n'),
      cache.incr('n'),
    ]);
    await pause(2);
    cut();
    expect(await cache.getMany(keys)).toEqual([undefined, 'new', undefined, undefined, undefined, 'old']);
    expect(await second.get('k')).toBeUndefined();
    expect(await Promise.all([cache.hget('h', 'f'), cache.hget('h', 'g'), cache.get('n')])).toEqual([
      'new',
      'new',
      9,
    ]);
  });

  it('an answer that was under way when its key was changed leaves no copy', async () => {
    const late = lateAnswers(embeddedRedis());
    const chaos = createChaosClient(late.client, { timeoutMs: DEADLINE_MS });
    const cache = new FallbackCache({ client: chaos, standby: embeddedRedis(), namespace: 'app' });
    onTestFinished(() => cache.disconnect());
    for (const key of ['before', 'during']) await cache.set(key, 'old');
    late.hold();
    const before = cache.get('before');
    await pause(1);
    await cache.delete('before');
    late.release();
    expect(await before).toBe('old');
    late.hold();
    const during = cache.get('during');
    await pause(1);
    chaos.fail(down());
    expect(await cache.get('before')).toBeUndefined();
    await cache.delete('during');
    late.release();
    expect(await during).toBe('old');
    expect(await cache.getMany(['before', 'during'])).toEqual([undefined, undefined]);
  });

  it('an invalidation counts also when the clock of this machine is behind that of the server', async () => {
    const { cache, chaos, other, cut } = open();
    await chaos.command('SET', ['app:v1:clock', String((Date.now() + 3_600_000) * 1_000)]);
    await other.invalidateTags('any');
    await other.set('k', 'old', { tags: ['t'] });
    expect(await cache.get('k')).toBe('old');
    cut();
    expect(await cache.get('k')).toBe('old');
    await cache.invalidateTags('t');
    expect(await cache.get('k')).toBeUndefined();
  });

  it('everything goes on: values, tags, prefixes, counters, hashes, expiries, loads', async () => {
    const { cache, cut } = open();
    cut();
    expect(await cache.set('a:1', 'x', { tags: ['t'] })).toBe(true);
    expect(await cache.get('a:1')).toBe('x');
    expect(await cache.has('a:1')).toBe(true);
    expect(await cache.expire('a:1', '10s')).toBe(true);
    expect(Number(await cache.ttl('a:1'))).toBeLessThanOrEqual(10);
    expect(await cache.incr('n')).toBe(1);
    expect(await cache.incr('n', 2)).toBe(3);
    expect(await cache.hset('h', { f: 1, g: new Date(5) })).toBe(2);
    expect(await cache.hget('h', 'g')).toEqual(new Date(5));
    await cache.invalidateTags(['t']);
    expect(await cache.get('a:1')).toBeUndefined();
    await cache.setMany([
      ['a:1', 1],
      ['a:2', 2],
    ]);
    expect(await cache.deletePrefix(['a'])).toBe(2);
    let loads = 0;
    const load = async (): Promise<number> => {
      await pause(10);
      loads += 1;
      return loads;
    };
    expect(await Promise.all([1, 2, 3].map(() => cache.getOrSet('l', load)))).toEqual([1, 1, 1]);
    expect(await cache.getOrSetMany(['l', 'm'], (keys) => keys.map(String))).toEqual([1, 'm']);
    expect(await cache.explain('l')).toMatchObject({ source: 'standby', tier: 'fallback' });
    expect(await cache.flush()).toBeGreaterThan(3);
    expect(await cache.getMany(['l', 'n'])).toEqual([undefined, undefined]);
    expect(await cache.has('h')).toBe(false);
  });

  it('the first call waits for its deadline, and no other one waits at all', async () => {
    const { cache, chaos } = open();
    await cache.set('k', 1);
    chaos.partition();
    const startedAt = performance.now();
    expect(await cache.get('k')).toBe(1);
    expect(performance.now() - startedAt).toBeLessThan(DEADLINE_MS * 10);
    expect(cache.state.mode).toBe('fallback');
    const again = performance.now();
    for (let i = 0; i < 100; i += 1) await cache.get('k');
    expect(performance.now() - again).toBeLessThan((DEADLINE_MS * 100) / 4);
  });

  it('a loader that has run when Redis fails does not run again for the same caller', async () => {
    const { cache, cut } = open();
    let loads = 0;
    let outcome: CacheOutcome = 'miss';
    const load = (): string => {
      loads += 1;
      cut();
      return 'loaded';
    };
    expect(await cache.getOrSet('k', load, { onOutcome: (each) => (outcome = each) })).toBe('loaded');
    expect([loads, outcome]).toEqual([1, 'bypass']);
    expect(await cache.get('k')).toBeUndefined();
  });

  it("an error of a loader is the loader's, also when it looks like one of Redis", async () => {
    const { cache, cut } = open();
    const failing = (): Promise<number> => Promise.reject(down());
    await expect(cache.getOrSet('k', failing)).rejects.toThrow('away');
    expect(cache.state.mode).toBe('redis');
    cut();
    await expect(cache.getOrSet('k', failing)).rejects.toThrow('away');
  });

  it('a reply that Redis is not serving counts as away, any other one does not', async () => {
    const { cache, cut } = open();
    cut(new RedisReplyError('OOM command not allowed'));
    await expect(cache.set('k', 1)).rejects.toThrow('OOM');
    expect(await cache.get('k')).toBeUndefined();
    expect(await cache.getOrSet('k', () => 'unstored')).toBe('unstored');
    expect(cache.state.mode).toBe('redis');
    cut(new RedisReplyError('LOADING Redis is loading the dataset in memory'));
    expect(await cache.get('k')).toBeUndefined();
    expect(cache.state).toMatchObject({
      mode: 'fallback',
      reason: expect.stringMatching(/LOADING/u) as string,
    });
  });
});

describe('when Redis is back', () => {
  it('is told of every invalidation before it is read again', async () => {
    const { cache, other, cut, back } = open();
    const keys = ['deleted', 'set', 'tagged', 'pre:fix', 'expired', 'kept'];
    for (const key of keys) await other.set(key, 'old', { tags: key === 'tagged' ? ['t'] : [] });
    const second = cache.namespace('second');
    await other.namespace('second').set('k', 'old');
    cut();
    await cache.get('k');
    await cache.delete('deleted');
    await cache.set('set', 'new');
    await cache.invalidateTags('t');
    await cache.deletePrefix('pre:');
    await cache.expire('expired', '1ms');
    await second.flush();
    expect(cache.state).toMatchObject({ mode: 'fallback', journal: 6, overflowed: false });
    await back();
    expect(cache.state).toMatchObject({ journal: 0 });
    for (const each of [cache, other]) {
      expect(await each.getMany(keys)).toEqual([
        undefined,
        undefined,
        undefined,
        undefined,
        undefined,
        'old',
      ]);
      expect(await each.namespace('second').get('k')).toBeUndefined();
    }
  });

  it('what was written or loaded meanwhile is gone, here too, and does not come back at the next outage', async () => {
    const { cache, cut, back } = open();
    cut();
    await cache.set('set', 1);
    await cache.getOrSet('loaded', () => 2);
    await cache.hset('hash', 'f', 3);
    await back();
    expect(await cache.getMany(['set', 'loaded'])).toEqual([undefined, undefined]);
    cut();
    await cache.set('set again', 1);
    await cache.getOrSet('loaded again', () => 2);
    await back();
    // Not read in between, which would show the cache that there is nothing.
    cut();
    expect(await cache.getMany(['set again', 'loaded again'])).toEqual([undefined, undefined]);
    expect(await cache.hget('hash', 'f')).toBeUndefined();
  });

  it('copies of what was not touched are there again at the next outage', async () => {
    const { cache, other, cut, back } = open();
    await other.set('k', 'v', { tags: ['t'] });
    await cache.get('k');
    for (let turn = 0; turn < 3; turn += 1) {
      cut();
      expect(await outcomeOf(cache, 'k')).toEqual(['v', 'fallback']);
      await back();
    }
    cut();
    await cache.invalidateTags('t');
    await back();
    cut();
    expect(await cache.get('k')).toBeUndefined();
  });

  it('has the sum of the increments, and a hash with the fields', async () => {
    const { cache, other, cut, back } = open();
    await cache.incr('n', 10);
    await other.hset('h', { kept: 0, changed: 0 });
    cut();
    expect(await cache.incr('n', 5)).toBe(15);
    await cache.incr('n', -1);
    await cache.incr('new', 3, { ttl: '50s' });
    await cache.hset('h', { changed: 1, added: 2n });
    await cache.set('reset', 1);
    await cache.delete('reset');
    await cache.incr('reset', 7);
    await back();
    expect(await other.getMany(['n', 'new', 'reset'])).toEqual([14, 3, 7]);
    expect(Number(await other.ttl('new'))).toBeLessThanOrEqual(50);
    expect(await Promise.all(['kept', 'changed', 'added'].map((f) => other.hget('h', f)))).toEqual([
      0,
      1,
      2n,
    ]);
    expect(await cache.get('n')).toBe(14);
  });

  it('an increment of unknown outcome is not sent again, one that was not sent is', async () => {
    const { cache, other, cut, back } = open();
    await cache.incr('n');
    cut(unknown());
    expect(await cache.incr('n')).toBe(2);
    await back();
    expect([await cache.get('n'), cache.state.uncertainIncrements]).toEqual([1, 1]);
    cut(down());
    expect(await cache.incr('n')).toBe(2);
    await back();
    expect(await other.get('n')).toBe(2);
  });

  it('an invalidation of unknown outcome is done again', async () => {
    const { cache, other, cut, back } = open();
    await other.set('k', 'old', { tags: ['t'] });
    await other.set('l', 'old', { tags: ['t'] });
    cut(unknown());
    expect(await cache.delete('k')).toBe(false);
    expect(cache.state).toMatchObject({ mode: 'fallback', journal: 1 });
    await back();
    cut(unknown());
    await cache.invalidateTags('t');
    await back();
    expect(await other.getMany(['k', 'l'])).toEqual([undefined, undefined]);
  });

  it('more changes than the journal holds become a flush of the namespace, unknown caches included', async () => {
    const { cache, other, cut, back } = open({}, { journal: 3 });
    const foreign = other.namespace('foreign');
    await foreign.set('k', 'old');
    await other.set('k', 'old');
    cut();
    await Promise.all([1, 2, 3, 4].map((i) => cache.delete(['x', i])));
    expect(cache.state).toMatchObject({ overflowed: true });
    await cache.set('during', 1);
    await back();
    expect(cache.state).toMatchObject({ overflowed: false, journal: 0 });
    expect([await other.get('k'), await foreign.get('k')]).toEqual([undefined, undefined]);
  });

  it('a load that ran on the standby answers its callers and stores nothing over what is newer', async () => {
    const { cache, other, cut, back } = open();
    let finish: (value: string) => void = () => undefined;
    const load = (): Promise<string> => new Promise((resolve) => (finish = resolve));
    cut();
    const waiting = cache.getOrSet('k', load);
    await pause(5);
    await back();
    await cache.set('k', 'newer');
    finish('older');
    expect(await waiting).toBe('older');
    await pause(5);
    expect([await cache.get('k'), await other.get('k')]).toEqual(['newer', 'newer']);
    cut();
    expect(await cache.get('k')).toBe('newer');
  });

  it('a load that began under Redis stores nothing that was invalidated meanwhile', async () => {
    const { cache, other, cut, back } = open();
    let finish: (value: string) => void = () => undefined;
    const load = (): Promise<string> => new Promise((resolve) => (finish = resolve));
    const waiting = cache.getOrSet('k', load);
    await pause(5);
    cut();
    await cache.delete('k');
    await back();
    finish('old');
    expect(await waiting).toBe('old');
    expect([await cache.get('k'), await other.get('k')]).toEqual([undefined, undefined]);
  });

  it('changes that come while Redis is told are told before it is read, too', async () => {
    const { cache, chaos, other, cut, back } = open();
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
    await other.setMany(keys.map((key) => [key, 'old']));
    cut();
    await cache.delete('first');
    const owed: number[] = [];
    cache.onStateChange(({ to }) => void (to === 'redis' && owed.push(cache.state.journal)));
    chaos.latency(8);
    const read: unknown[] = [];
    for (const key of keys) {
      await cache.delete(key);
      read.push(await cache.get(key));
      await pause(2);
    }
    await back();
    expect(new Set(owed)).toEqual(new Set([0]));
    expect(new Set(read)).toEqual(new Set([undefined]));
    expect(new Set(await other.getMany(keys))).toEqual(new Set([undefined]));
  });

  it('a replay that breaks off is done again', async () => {
    const { cache, chaos, other, cut, back } = open();
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
    await other.setMany(keys.map((key) => [key, 'old']));
    cut();
    await Promise.all(keys.map((key) => cache.delete(key)));
    await cache.incr('n', 2);
    const modes: string[] = [];
    cache.onStateChange(({ to }) => modes.push(to));
    chaos.fail(down(), 0.2);
    await expect.poll(() => modes.includes('recovering'), { interval: 1, timeout: 5_000 }).toBe(true);
    await pause(200);
    await back();
    expect(modes.filter((mode) => mode === 'fallback').length).toBeGreaterThan(0);
    expect(new Set(await other.getMany(keys))).toEqual(new Set([undefined]));
    expect(await other.get('n')).toBe(2);
  });
});

describe('what it tells', () => {
  it('its state with the time and the reason, to listeners and to telemetry', async () => {
    const { cache, cut, back } = open();
    const events: TelemetryEvent[] = [];
    onTestFinished(
      onTelemetry('cache', (event) => void (event.name === 'cache.fallback' && events.push(event))),
    );
    const states: FallbackState['mode'][] = [];
    const stop = cache.onStateChange(({ to }) => states.push(to));
    const before = Date.now();
    expect(cache.state).toMatchObject({ mode: 'redis', journal: 0 });
    cut();
    await cache.get('k');
    expect(cache.state).toMatchObject({ mode: 'fallback', reason: 'the server is away' });
    expect(cache.state.since).toBeGreaterThanOrEqual(before);
    await back();
    stop();
    expect(states).toEqual(['fallback', 'recovering', 'redis']);
    expect(events.map(({ outcome }) => outcome)).toEqual(['fallback', 'recovering', 'redis']);
    cut();
    await cache.get('k');
    expect(states).toHaveLength(3);
  });

  it('where nothing stands in it is the cache itself', async () => {
    const cache = new FallbackCache({ client: embeddedRedis(), namespace: 'app', ownsClient: true });
    onTestFinished(() => cache.disconnect());
    await cache.connect();
    await cache.namespace('books').set('k', 1);
    expect(await cache.namespace('books').get('k')).toBe(1);
    expect(cache.state).toMatchObject({ mode: 'redis', journal: 0 });
    expect(cache.stats()).toMatchObject({ l2Hits: 0 });
    expect(cache.onStateChange(() => undefined)()).toBeUndefined();
  });

  it('connect settles without Redis, and disconnect tells Redis at the last moment what it can', async () => {
    const { cache, chaos, other, cut } = open({}, { ownsClient: false });
    await other.set('k', 'old');
    cut();
    await cache.connect();
    await cache.delete('k');
    chaos.heal();
    chaos.latency(0);
    await cache.disconnect();
    expect(await other.get('k')).toBeUndefined();
  });
});
