/** What becomes of each call when Redis fails, is slow or says nothing. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createChaosClient, type ChaosClient } from '../../testing/index.js';
import { createClient, NotConnectedError, resolveConnection } from '../connection/index.js';
import { CacheService } from './cache-service.js';
import type { CacheOptions } from './cache.options.js';
import type { CacheOutcome } from './call.options.js';

const DEADLINE_MS = 60;

function open(options: CacheOptions = {}): { cache: CacheService; chaos: ChaosClient } {
  const client = createClient(resolveConnection('outage', { topology: 'embedded' }, []));
  const chaos = createChaosClient(client, { timeoutMs: DEADLINE_MS });
  const cache = new CacheService({ client: chaos, namespace: 'app', ownsClient: true }, options);
  onTestFinished(() => cache.disconnect({ drain: '50ms' }));
  return { cache, chaos };
}

const down = (): Error => new NotConnectedError('the server is away');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('while Redis fails', () => {
  it('a read is a miss, and a load answers its value unstored', async () => {
    const { cache, chaos } = open();
    await cache.set('k', 'stored');
    chaos.fail(down());
    expect(await cache.get('k')).toBeUndefined();
    expect(await cache.getMany(['k', 'l'])).toEqual([undefined, undefined]);
    expect(await cache.has('k')).toBe(false);
    expect(await cache.hget('h', 'f')).toBeUndefined();
    let outcome: CacheOutcome = 'miss';
    const onOutcome = (each: CacheOutcome): void => void (outcome = each);
    expect(await cache.getOrSet('k', () => 'loaded', { onOutcome })).toBe('loaded');
    expect(outcome).toBe('bypass');
    expect(await cache.getOrSetMany(['a', 'b'], (keys) => keys.map(String))).toEqual(['a', 'b']);
    chaos.heal();
    chaos.latency(0);
    expect(await cache.get('k')).toBe('stored');
    expect(cache.stats()).toMatchObject({ bypassed: 3, loads: 3 });
  });

  it('a strict read of many keys rejects once, and no rejection of one of them is left to the process', async () => {
    const { cache, chaos } = open({ strict: true });
    chaos.partition();
    const left: unknown[] = [];
    const note = (reason: unknown): void => void left.push(reason);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    const keys = Array.from({ length: 600 }, (_, i) => `key-${i}`);
    await expect(cache.getOrSetMany(keys, (all) => all.map(String))).rejects.toThrow();
    await pause(10);
    expect(left).toEqual([]);
  });

  it('whatever changes something rejects: an invalidation that did not happen is known', async () => {
    const { cache, chaos } = open();
    await cache.set('k', 1);
    chaos.fail(down());
    const changes = [
      cache.set('k', 1),
      cache.setMany([['k', 1]]),
      cache.delete('k'),
      cache.deleteMany(['k']),
      cache.expire('k', '1m'),
      cache.incr('n'),
      cache.hset('h', 'f', 1),
      cache.invalidateTags('t'),
      cache.deletePrefix('k'),
      cache.flush(),
    ];
    const outcomes = await Promise.allSettled(changes);
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['rejected']));
  });

  it("with onWriteError: 'ignore' storing is let go, and an invalidation still rejects", async () => {
    const { cache, chaos } = open({ onWriteError: 'ignore' });
    chaos.fail(down());
    expect(await cache.set('k', 1)).toBe(false);
    expect(await cache.hset('h', 'f', 1)).toBe(0);
    expect(await cache.expire('k', '1m')).toBe(false);
    await expect(cache.delete('k')).rejects.toThrow('away');
    await expect(cache.invalidateTags('t')).rejects.toThrow('away');
  });

  it('strict throws where Redis failed', async () => {
    const { cache, chaos } = open({ strict: true });
    chaos.fail(down());
    await expect(cache.get('k')).rejects.toThrow('away');
    await expect(cache.getOrSet('k', () => 1)).rejects.toThrow('away');
    await expect(cache.has('k')).rejects.toThrow('away');
  });

  it("an error of the loader is the loader's, and nothing of Redis is in its place", async () => {
    const { cache, chaos } = open();
    chaos.fail(down());
    const failing = (): Promise<number> => Promise.reject(new RangeError('origin'));
    await expect(cache.getOrSet('k', failing)).rejects.toThrow(RangeError);
  });
});

describe('while Redis says nothing', () => {
  it('every call settles within its deadlines', async () => {
    const { cache, chaos } = open();
    chaos.partition();
    const startedAt = performance.now();
    const calls = [
      cache.get('k'),
      cache.getOrSet('l', () => 1),
      cache.getOrSetMany(['a', 'b'], (keys) => keys.map(() => 2)),
      cache.set('k', 1),
      cache.delete('k'),
      cache.invalidateTags('t'),
      cache.flush(),
      cache.ttl('k'),
      cache.explain('k'),
    ];
    const outcomes = await Promise.allSettled(calls);
    expect(performance.now() - startedAt).toBeLessThan(DEADLINE_MS * 6);
    expect(outcomes.slice(0, 3).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  });

  it('loads are capped, and one key is still loaded by one at a time', async () => {
    const { cache, chaos } = open({ maxLoads: 3 });
    chaos.fail(down());
    let running = 0;
    let most = 0;
    const load = async (): Promise<number> => {
      running += 1;
      most = Math.max(most, running);
      await pause(5);
      running -= 1;
      return 1;
    };
    await Promise.all(Array.from({ length: 30 }, (_, i) => cache.getOrSet(['k', i], load)));
    expect(most).toBe(3);
    await Promise.all(Array.from({ length: 30 }, () => cache.getOrSet('hot', load)));
    expect(cache.stats().loads).toBeLessThanOrEqual(32);
  });

  it('a load inside a load takes no second place under the cap, which could be waited for for ever', async () => {
    const { cache } = open({ maxLoads: 1 });
    const inner = (): Promise<number> => cache.getOrSet('inner', () => 1);
    expect(await cache.getOrSet('outer', inner)).toBe(1);
    const many = (): Promise<unknown> => cache.getOrSetMany(['x', 'y'], (keys) => keys.map(() => 1));
    expect(await cache.getOrSet('outer many', many)).toEqual([1, 1]);
  });

  it('who joins a load that Redis can not vouch for gets one that began after him', async () => {
    const { cache, chaos } = open();
    chaos.fail(down());
    let version = 1;
    const load = async (): Promise<number> => {
      const seen = version;
      await pause(30);
      return seen;
    };
    const first = cache.getOrSet('k', load);
    await pause(10);
    version = 2;
    const second = cache.getOrSet('k', load);
    expect(await Promise.all([first, second])).toEqual([1, 2]);
  });

  it('a value whose fill was lost is answered, and not believed to be stored', async () => {
    const { cache, chaos } = open();
    const load = (): string => {
      chaos.fail(down());
      return 'loaded';
    };
    expect(await cache.getOrSet('k', load)).toBe('loaded');
    chaos.latency(0);
    expect(await cache.get('k')).toBeUndefined();
    expect(cache.stats().failures).toBeGreaterThan(0);
  });
});

describe('at the end', () => {
  it('a refresh in the background is finished before the connection closes', async () => {
    const { cache } = open({ stale: '1m', jitter: 0 });
    await cache.getOrSet('k', () => 'old', { ttl: '10ms' });
    await pause(15);
    let finished = false;
    const load = async (): Promise<string> => {
      await pause(30);
      finished = true;
      return 'new';
    };
    expect(await cache.getOrSet('k', load)).toBe('old');
    await cache.disconnect();
    expect(finished).toBe(true);
  });

  it('a load that does not finish is aborted, its callers are told, and no call comes after', async () => {
    const { cache } = open();
    let told: unknown;
    const load = ({ signal }: { signal: AbortSignal }): Promise<string> =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          told = signal.reason;
          reject(new Error('stopped'));
        });
      });
    const waiting = cache.getOrSet('k', load);
    const rejected = expect(waiting).rejects.toMatchObject({ code: 'CACHE_CLOSED' });
    await pause(5);
    await cache.disconnect({ drain: '20ms' });
    await rejected;
    expect(told).toMatchObject({ code: 'CACHE_CLOSED' });
    await expect(cache.getOrSet('k', () => 1)).rejects.toMatchObject({ code: 'CACHE_CLOSED' });
    expect(await cache.get('k')).toBeUndefined();
  });
});
