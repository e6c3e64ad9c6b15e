/** What the contract does not show: typing, sharing of named caches, events, and who closes what. */
import { describe, expect, expectTypeOf, it, onTestFinished } from 'vitest';
import { createClient, resolveConnection } from '../connection/index.js';
import { onTelemetry, type TelemetryEvent } from '../core/index.js';
import type { CacheValue } from './cache-contract.js';
import { CacheService } from './cache-service.js';

interface Book {
  readonly title: string;
}

declare module './cache-contract.js' {
  interface CacheTypes {
    'typed-books': Book;
  }
}

function open(): CacheService {
  const client = createClient(resolveConnection('service', { topology: 'embedded' }, []));
  const cache = new CacheService({ client, namespace: 'app', ownsClient: true });
  onTestFinished(() => cache.disconnect());
  return cache;
}

describe('named caches', () => {
  it('know their values by augmentation', async () => {
    const books = open().namespace('typed-books');
    expectTypeOf(books).toEqualTypeOf<CacheService<Book>>();
    expectTypeOf<CacheValue<'unknown name'>>().toEqualTypeOf<unknown>();
    await books.set('1', { title: 'Kelidar' });
    expect((await books.get('1'))?.title).toBe('Kelidar');
    expectTypeOf(books.getOrSet('1', (): Book => ({ title: 'x' }))).resolves.toEqualTypeOf<Book>();
  });

  it('complete the options of the cache they come from', async () => {
    const cache = open();
    const short = cache.namespace('short', { ttl: '5s' });
    await short.set('k', 1);
    expect(Number(await short.ttl('k'))).toBeLessThanOrEqual(5);
    expect(short.namespace('short')).toBe(short);
  });
});

describe('a tag', () => {
  const MONTH_MS = 30 * 86_400_000;

  it.each<[how: string, store: (cache: CacheService) => Promise<unknown>]>([
    ['set', (cache) => cache.set('k', 1, { ttl: '30d', tags: ['t'] })],
    ['setMany', (cache) => cache.setMany([['k', 1]], { ttl: 'never', tags: ['t'] })],
    [
      'expire',
      async (cache) => {
        await cache.set('k', 1, { tags: ['t'] });
        await cache.expire('k', '30d');
      },
    ],
    ['getOrSet', (cache) => cache.getOrSet('k', () => 1, { ttl: '30d', tags: ['t'] })],
    [
      'setTtl in a loader',
      (cache) =>
        cache.getOrSet(
          'k',
          ({ setTtl }) => {
            setTtl('30d');
            return 1;
          },
          { tags: ['t'] },
        ),
    ],
  ])('that was there before lives as long as what %s puts under it', async (_, store) => {
    const client = createClient(resolveConnection('service', { topology: 'embedded' }, []));
    const cache = new CacheService({ client, namespace: 'app', ownsClient: true });
    onTestFinished(() => cache.disconnect());
    await cache.invalidateTags('t');
    await store(cache);
    const left = Number(await client.command('PTTL', ['app:v1:tag:{t}']));
    expect(left === -1 || left > MONTH_MS).toBe(true);
    expect(await cache.get('k')).toBe(1);
  });
});

describe('events', () => {
  it('tell where answers came from, and never the key or the value', async () => {
    const cache = open().namespace('observed');
    const events: TelemetryEvent[] = [];
    const stop = onTelemetry('cache', (event) => events.push(event));
    await cache.get('secret-key');
    await cache.getOrSet('secret-key', () => 'secret-value');
    await cache.get('secret-key');
    stop();
    expect(events.map(({ name, outcome }) => `${name} ${String(outcome)}`)).toEqual([
      'cache.read miss',
      'cache.load ok',
      'cache.save ok',
      'cache.read loaded',
      'cache.read l2',
    ]);
    expect(JSON.stringify(events)).not.toContain('secret');
  });
});

describe('getOrSet', () => {
  it('refuses a loader that is none', async () => {
    const notAFunction: unknown = 'value';
    await expect(open().getOrSet('k', notAFunction as () => number)).rejects.toMatchObject({
      code: 'INVALID_CACHE_OPTIONS',
    });
  });

  it('in a burst on one cold key: one load, all others joined', async () => {
    const cache = open();
    await Promise.all(Array.from({ length: 100 }, () => cache.getOrSet('k', () => 1, { tags: ['a', 'a'] })));
    expect(cache.stats()).toMatchObject({ loads: 1, coalesced: 99, misses: 100, refusedFills: 0 });
    expect((await cache.explain('k')).tags.map(({ tag }) => tag)).toEqual(['a']);
  });
});
