/** What a cache tells of what it does: events, log lines, and figures. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createChaosClient } from '../../testing/index.js';
import { createClient, NotConnectedError, resolveConnection } from '../connection/index.js';
import { onTelemetry, type TelemetryEvent } from '../core/index.js';
import { markOf } from './cache-events.js';
import { logCacheEvents } from './cache-log.js';
import { CacheService } from './cache-service.js';
import type { CacheOptions } from './cache.options.js';
import { NearCache } from './l1/l1-near-cache.js';
import { resolveL1 } from './l1/l1.options.js';

function open(options: CacheOptions = {}) {
  const chaos = createChaosClient(createClient(resolveConnection('events', { topology: 'embedded' }, [])));
  const l1 = resolveL1();
  if (l1 === false) throw new Error('it is on');
  const near = new NearCache({ client: chaos, l1 });
  const surroundings = { client: chaos, namespace: 'app', ownsClient: true, tiers: near.tiers };
  const cache = new CacheService(surroundings, options);
  onTestFinished(async () => {
    await cache.disconnect({ drain: '0s' });
    await near.close();
  });
  return { cache, chaos, near };
}

function record(): TelemetryEvent[] {
  const events: TelemetryEvent[] = [];
  onTestFinished(onTelemetry('cache', (event) => void events.push(event)));
  return events;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const told = (events: readonly TelemetryEvent[]): string[] =>
  events.map(({ name, outcome, attributes }) =>
    [name, outcome, attributes?.['by']].filter((part) => part !== undefined).join(' '),
  );

describe('events', () => {
  it('tell of hits, misses, saves, invalidations and loads, how long they took, and of no key', async () => {
    const { cache } = open();
    const events = record();
    await cache.get('secret:42');
    await cache.set('secret:42', 'secret value', { tags: ['secret tag'] });
    await cache.get('secret:42');
    await cache.get('secret:42');
    await cache.delete('secret:42');
    const slowly = (): Promise<string> => new Promise((resolve) => setTimeout(() => resolve('x'), 20));
    await cache.getOrSet('secret:43', slowly);
    await cache.getOrSetMany(['secret:43'], () => ['y']);
    await cache.invalidateTags('secret tag');
    await cache.deleteMany(['secret:43']);
    await cache.deletePrefix('secret');
    await cache.flush();
    await cache.set('nothing', undefined);
    expect(told(events)).toEqual([
      'cache.read miss',
      'cache.save ok set',
      'cache.read l2',
      'cache.read l1',
      'cache.invalidate ok delete',
      'cache.load ok',
      'cache.save ok load',
      'cache.read loaded',
      'cache.read l2',
      'cache.invalidate ok tags',
      'cache.invalidate ok deleteMany',
      'cache.invalidate ok prefix',
      'cache.invalidate ok flush',
      'cache.save nothing set',
    ]);
    // Others may be slow too, where the machine has other things to do.
    const slow = events.filter(({ durationMs = 0 }) => durationMs >= 15);
    expect(told(slow)).toEqual(expect.arrayContaining(['cache.load ok', 'cache.read loaded']));
    const words = JSON.stringify(events.map(({ attributes, ...rest }) => ({ ...rest, attributes })));
    expect(words).not.toContain('secret');
    const marks = events.map(({ attributes }) => attributes?.['key']);
    expect(marks[0]).toBe(markOf('app:v1:cache:default:{secret:42}'));
    expect(new Set(marks.slice(0, 5)).size).toBe(1);
    expect(marks[5]).not.toBe(marks[0]);
  });

  it('tell of what failed by its code', async () => {
    const { cache, chaos } = open();
    const events = record();
    await expect(
      cache.getOrSet('k', () => {
        throw Object.assign(new Error('secret'), { code: 'E_ORIGIN' });
      }),
    ).rejects.toThrow('secret');
    chaos.fail(new NotConnectedError('away'));
    await cache.get('k');
    await cache.delete('k').catch(() => undefined);
    expect(told(events)).toEqual([
      'cache.load E_ORIGIN',
      'cache.error NOT_CONNECTED read',
      'cache.read miss',
      'cache.invalidate NOT_CONNECTED delete',
    ]);
  });
});

describe('what is stored is counted', () => {
  it('by set and after a load, and what Redis did not take, whether that is ignored or not', async () => {
    const { cache, chaos } = open();
    const ignoring = cache.namespace('ignoring', { onWriteError: 'ignore' });
    const counted = (of: CacheService) => {
      const { writes, failedWrites, failures } = of.stats();
      return { writes, failedWrites, failures };
    };
    await cache.set('k', 1);
    await cache.getOrSet('loaded', () => 2);
    await until(() => cache.stats().writes === 2);
    await cache.set('nothing', undefined);
    expect(counted(cache)).toEqual({ writes: 2, failedWrites: 0, failures: 0 });

    const events = record();
    chaos.fail(new NotConnectedError('away'));
    await expect(cache.set('k', 1)).rejects.toThrow(NotConnectedError);
    expect(await ignoring.set('k', 1)).toBe(false);
    expect(counted(cache)).toEqual({ writes: 2, failedWrites: 1, failures: 0 });
    expect(counted(ignoring)).toEqual({ writes: 0, failedWrites: 1, failures: 1 });
    expect(told(events)).toEqual(['cache.save NOT_CONNECTED set', 'cache.save NOT_CONNECTED set']);
    await expect(ignoring.set('k', 1, { ttl: -1 })).rejects.toThrow(/ttl/iu);
  });

  it('and told of to nobody but those who listen to everything', async () => {
    const { cache } = open();
    const changes: string[] = [];
    onTestFinished(onTelemetry('cache-changes', ({ name }) => void changes.push(name)));
    await cache.set('k', 1);
    await cache.get('k');
    await cache.delete('k');
    expect(changes).toEqual(['cache.invalidate']);
  });
});

describe('log lines', () => {
  it('one for each event, reads apart, with a mark in place of the key', async () => {
    const { cache, chaos } = open();
    const debug: string[] = [];
    const verbose: string[] = [];
    const stop = logCacheEvents({
      debug: (line) => void debug.push(line),
      verbose: (line) => void verbose.push(line),
    });
    await cache.namespace('books').set('secret', 1);
    await cache.namespace('books').get('secret');
    await cache.get('secret');
    await cache.invalidateTags('t');
    await cache.getOrSet('loaded', () => 1);
    chaos.fail(new NotConnectedError('away'));
    await cache.get('secret');
    await cache.set('secret', 1).catch(() => undefined);
    stop();
    await cache.set('secret', 1).catch(() => undefined);
    const took = /in \d+\.\d\d ms$/u;
    for (const line of [...debug, ...verbose]) expect(line).toMatch(took);
    const bare = (line: string): string =>
      line
        .replace(took, '')
        .replace(/#[0-9a-f]{8}/u, '#')
        .trim();
    expect(verbose.map(bare)).toEqual([
      'books: hit (l2) #',
      'default: miss #',
      'default: loaded #',
      'default: miss #',
    ]);
    expect(debug.map(bare)).toEqual([
      'books: saved #',
      'default: invalidated (tags)',
      'default: loaded #',
      'default: saved #',
      'default: failed (read: NOT_CONNECTED)',
      'default: not saved (NOT_CONNECTED) #',
    ]);
  });

  it('reads are not put into words for a logger that does not want them', async () => {
    const { cache } = open();
    const debug: string[] = [];
    onTestFinished(logCacheEvents({ debug: (line) => void debug.push(line) }));
    await cache.get('k');
    expect(debug).toEqual([]);
  });
});

describe('figures', () => {
  it('say what L1 holds, and by what it hears of changes', async () => {
    const { cache } = open();
    await cache.get('k');
    await cache.set('k', 'x'.repeat(1_000));
    await cache.get('k');
    await cache.get('k');
    const { l1, l1Hits, l2Hits, misses, hitRate } = cache.stats();
    expect({ l1Hits, l2Hits, misses }).toEqual({ l1Hits: 1, l2Hits: 1, misses: 1 });
    expect(hitRate).toBeCloseTo(2 / 3);
    expect(l1).toMatchObject({ by: 'tracking', entries: 1, doubtful: 0, evictions: 0 });
    expect(l1?.bytes).toBeGreaterThan(1_000);
    const plain = new CacheService({
      client: createClient(resolveConnection('p', { topology: 'embedded' }, [])),
      namespace: 'app',
    });
    expect(plain.stats().l1).toBeUndefined();
  });

  it('reckon the memory in the store, of this cache alone', async () => {
    const { cache } = open();
    const books = cache.namespace('books');
    await Promise.all(Array.from({ length: 40 }, (_, i) => books.set(['b', i], 'x'.repeat(1_000))));
    await cache.set('other', 'x'.repeat(100_000));
    await books.hset('hash', 'field', 1);
    const memory = await books.memory();
    expect(memory).toMatchObject({ keys: 41, counted: true, by: 'length' });
    expect(memory.bytes).toBeGreaterThan(40_000);
    expect(memory.bytes).toBeLessThan(60_000);
    await books.flush();
    // The same for some seconds: whoever asks often does not make Redis scan often.
    expect(await books.memory()).toBe(memory);
    expect(await cache.namespace('empty').memory()).toMatchObject({ keys: 0, bytes: 0, weighed: 0 });
  });
});
