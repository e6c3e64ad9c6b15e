/** What makes hits and misses cheap, as far as it can be seen: what is asked, how often, and that it is the same. */
import { describe, expect, it, onTestFinished } from 'vitest';
import fc from 'fast-check';
import {
  createClient,
  escapeSegment,
  resolveConnection,
  type Arg,
  type CallOptions,
  type RedisClient,
  type Reply,
} from '../connection/index.js';
import { CacheService } from './cache-service.js';
import { CacheKeys } from './cache.keys.js';
import { isInsideLoad } from './loading/loader-run.js';
import { NearCache } from './l1/l1-near-cache.js';
import { resolveL1 } from './l1/l1.options.js';
import { Reader } from './reader.js';
import type { CacheEntry, Found, Store } from './store.js';
import { NO_CLOCK, RedisTagClocks, SeenClock, type TagClocks } from './tag-clocks.js';

interface Watched {
  readonly client: RedisClient;
  readonly sent: string[];
}

/** The embedded client, with a list of what it was asked. */
function watchedClient(): Watched {
  const client = createClient(resolveConnection('default', { topology: 'embedded' }, []));
  const sent: string[] = [];
  const command = client.command.bind(client);
  Object.defineProperty(client, 'command', {
    value: (name: string, args: readonly Arg[], options?: CallOptions): Promise<Reply> => {
      sent.push(`${name} ${String(args[0])}`);
      return command(name, args, options);
    },
  });
  onTestFinished(() => client.disconnect());
  return { client, sent };
}

function nearCache(
  options: Parameters<typeof resolveL1>[0] = {},
  random: () => number = Math.random,
): { cache: CacheService; sent: string[] } {
  const { client, sent } = watchedClient();
  const l1 = resolveL1(options);
  if (l1 === false) throw new Error('L1 is what this is about');
  const near = new NearCache({ client, l1 });
  const cache = new CacheService({ client, namespace: 'hot', tiers: near.tiers, random });
  onTestFinished(async () => {
    await cache.disconnect();
    await near.close();
  });
  return { cache, sent };
}

async function warm(cache: CacheService, key: string): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    let outcome = '';
    await cache.get(key, { onOutcome: (each) => (outcome = each) });
    if (outcome === 'l1') return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error('it never came to be held in memory');
}

describe('a hit in memory', () => {
  it('asks Redis nothing, tagged or not, and is answered in the turn of the call', async () => {
    const { cache, sent } = nearCache();
    await cache.set('plain', { n: 1 });
    await cache.set('tagged', { n: 2 }, { tags: ['a', 'b'] });
    await warm(cache, 'plain');
    await warm(cache, 'tagged');
    sent.length = 0;
    const order: string[] = [];
    const hits = [
      cache.get('plain').then(() => order.push('get')),
      cache.getOrSet('tagged', () => ({ n: 3 })).then(() => order.push('getOrSet')),
    ];
    // Two turns of the microtask queue are what an answered promise takes, and no socket is that fast.
    await Promise.resolve();
    await Promise.resolve();
    expect(order).toEqual(['get', 'getOrSet']);
    await Promise.all(hits);
    expect(sent).toEqual([]);
    expect(cache.stats()).toMatchObject({ misses: 0 });
  });

  it('is none any more when one of its tags, or the cache, was invalidated here', async () => {
    const { cache } = nearCache();
    await cache.set('one', 1, { tags: ['a', 'b'] });
    await cache.set('two', 2);
    await warm(cache, 'one');
    await warm(cache, 'two');
    await cache.invalidateTags('b');
    expect([await cache.get('one'), await cache.get('two')]).toEqual([undefined, 2]);
    await cache.flush();
    expect(await cache.get('two')).toBeUndefined();
  });

  it('is what `held` hands over; where Redis would be asked it says nothing, and asks nothing', async () => {
    const { cache, sent } = nearCache();
    const text = { text: 'one' };
    await cache.set('one', text, { tags: ['a'] });
    await cache.set('brief', 2, 0.05);
    sent.length = 0;
    expect([cache.held('one'), cache.held('none'), sent]).toEqual([undefined, undefined, []]);
    await warm(cache, 'one');
    await warm(cache, 'brief');
    const before = cache.stats();
    sent.length = 0;
    expect([cache.held('one'), cache.held('brief'), cache.held('none')]).toEqual([text, 2, undefined]);
    expect(sent).toEqual([]);
    const { l1Hits, misses } = cache.stats();
    expect([l1Hits, misses]).toEqual([before.l1Hits + 2, before.misses]);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(cache.held('brief')).toBeUndefined();
    await cache.invalidateTags('a');
    expect(cache.held('one')).toBeUndefined();
  });

  it('is not held when there is nothing in it, or when it is due to be made anew', async () => {
    let draw = 0;
    const { cache } = nearCache({}, () => draw);
    await cache.getOrSet('nothing', () => null, { negativeTtl: '1m' });
    // Whoever is unlucky in the draw makes it anew when ten times that loader's time is left.
    await cache.getOrSet('due', () => new Promise((resolve) => setTimeout(resolve, 1_100, 1)), { ttl: 10 });
    await warm(cache, 'due');
    draw = 0;
    expect(cache.held('due')).toBe(1);
    draw = 1 - Number.EPSILON;
    expect(cache.held('due')).toBeUndefined();
    expect(await cache.get('nothing')).toBeNull();
    expect(cache.held('nothing')).toBeUndefined();
  });

  it('rejects what it can not read, instead of throwing', async () => {
    const { cache } = nearCache();
    await expect(cache.get('')).rejects.toMatchObject({ code: 'INVALID_CACHE_KEY' });
    await expect(cache.getOrSet([], () => 1)).rejects.toMatchObject({ code: 'INVALID_CACHE_KEY' });
    await expect(cache.get('a', { stale: 'soon' as '1s' })).rejects.toMatchObject({
      code: 'INVALID_DURATION',
    });
    await expect(cache.getOrSet('a', 1 as never)).rejects.toMatchObject({ code: 'INVALID_CACHE_OPTIONS' });
  });
});

const entry: CacheEntry = {
  value: 1,
  createdAt: 0,
  softExpiresAt: undefined,
  expiresAt: undefined,
  clock: 5,
  loadMs: 0,
  negative: false,
  tags: ['a', 'b'],
};

function readerOver(found: Found, clocks: TagClocks): { read: () => unknown; keys: CacheKeys } {
  const keys = new CacheKeys('hot', 'default');
  const store = { get: () => found } as unknown as Store;
  const reader = new Reader(store, clocks, keys);
  return { read: () => reader.read(keys.value('k')), keys };
}

describe('clocks held in this process', () => {
  const held = (clocks: Record<string, number>): TagClocks => ({
    held: (key) => clocks[key],
    read: (keys) => Promise.resolve(keys.map((key) => clocks[key] ?? NO_CLOCK)),
  });

  it.each<[string, Record<string, number>, boolean]>([
    ['nothing was invalidated', { flush: NO_CLOCK, a: 5, b: 4 }, true],
    ['it was flushed since', { flush: 6, a: 5, b: 5 }, false],
    ['the first tag was invalidated since', { flush: 1, a: 6, b: 5 }, false],
    ['the last tag was invalidated since', { flush: 1, a: 5, b: 6 }, false],
    ['the clock of a tag is lost', { flush: 1, a: 5, b: NO_CLOCK }, false],
  ])('%s', (_name, given, current) => {
    const keys = new CacheKeys('hot', 'default');
    const clocks = { [keys.flush]: given['flush'] ?? 0, [keys.tag('a')]: given['a'] ?? 0 };
    const all = { ...clocks, [keys.tag('b')]: given['b'] ?? 0 };
    const { read } = readerOver({ entry, tier: 'l1' }, held(all));
    expect(read()).toMatchObject({ current });
  });

  it('of which one is missing are asked for', async () => {
    const keys = new CacheKeys('hot', 'default');
    const known = { [keys.flush]: 1, [keys.tag('a')]: 5 };
    const clocks: TagClocks = {
      held: (key) => known[key],
      read: (asked) => Promise.resolve(asked.map((key) => (key === keys.tag('b') ? 6 : 5))),
    };
    const { read } = readerOver({ entry, tier: 'l1' }, clocks);
    await expect(read()).resolves.toMatchObject({ current: false });
  });

  it('keys of tags that another cache has made are not taken for its own', () => {
    const keys = new CacheKeys('hot', 'default');
    const theirs = { madeBy: new CacheKeys('elsewhere', 'default'), keys: ['x', 'y'] };
    const all = { [keys.flush]: 1, [keys.tag('a')]: 6, [keys.tag('b')]: 5, x: 1, y: 1 };
    const { read } = readerOver({ entry: { ...entry, tagKeys: theirs }, tier: 'l1' }, held(all));
    expect(read()).toMatchObject({ current: false });
  });
});

describe('RedisTagClocks', () => {
  it('asks once per tick and clock, alone or among others, and anew in the next', async () => {
    const { client, sent } = watchedClient();
    await client.command('SET', ['a', '7']);
    const clocks = new RedisTagClocks(client, new SeenClock());
    sent.length = 0;
    const list = ['a', 'b'];
    const answers = [clocks.read(['a']), clocks.read(list), clocks.read(list), clocks.read(['b', 'a'])];
    expect(await Promise.all(answers)).toEqual([[7], [7, NO_CLOCK], [7, NO_CLOCK], [NO_CLOCK, 7]]);
    expect(sent).toEqual(['GET a', 'GET b']);
    await client.command('SET', ['a', '8']);
    expect(await clocks.read(list)).toEqual([8, NO_CLOCK]);
  });

  it('what was asked together can be looked at when it is there, and fails for all', async () => {
    const { client } = watchedClient();
    await client.command('SET', ['a', '7']);
    const clocks = new RedisTagClocks(client, new SeenClock());
    const asked = clocks.ask(['a', 'b']);
    expect(asked.clocks).toBeUndefined();
    await asked.answer;
    expect(asked.clocks).toEqual([7, NO_CLOCK]);
    await client.disconnect();
    await expect(clocks.ask(['a', 'c']).answer).rejects.toThrow();
  });
});

describe('keys', () => {
  it('are the same made anew, kept and kept for long, by property', () => {
    const keys = new CacheKeys('ns', 'books');
    const text = fc.string({ unit: fc.constantFrom('a', ':', '%', '{', '}', '\u0001', '\u007f', 'é', '🙂') });
    const plain = (key: string): string =>
      `ns:v1:cache:books:{${key.split(':').map(escapeSegment).join(':')}}`;
    fc.assert(
      fc.property(text, (key) => {
        fc.pre(key !== '');
        return keys.value(key) === plain(key) && keys.value(key) === plain(key);
      }),
      { numRuns: 500, seed: 20_261_121 },
    );
    for (let i = 0; i < 20_000; i += 1) keys.value(`many:${i}`);
    for (const i of [0, 12_000, 19_999]) expect(keys.value(`many:${i}`)).toBe(plain(`many:${i}`));
    expect(keys.value(['a:b', 1])).toBe('ns:v1:cache:books:{a%3Ab:1}');
  });

  it('a value and a tag of the same name are kept apart', () => {
    const keys = new CacheKeys('ns', 'books');
    expect(new Set([keys.value('x'), keys.tag('x'), keys.value('x'), keys.tag('x')]).size).toBe(2);
  });
});

describe('a load', () => {
  it('takes the lease with one plain command when nobody else wants it', async () => {
    const { client, sent } = watchedClient();
    const cache = new CacheService({ client, namespace: 'hot' });
    onTestFinished(() => cache.disconnect());
    expect(await cache.getOrSet('k', () => 1)).toBe(1);
    expect(sent.filter((each) => each.startsWith('SET '))).toEqual(['SET hot:v1:lease:default:{k}']);
  });

  it('knows what is inside of it as long as it runs, and no longer', async () => {
    const { client } = watchedClient();
    const cache = new CacheService({ client, namespace: 'hot' });
    onTestFinished(() => cache.disconnect());
    const inside: boolean[] = [];
    let left: Promise<boolean> | undefined;
    await cache.getOrSet('outer', async () => {
      await expect(cache.getOrSet('outer', () => 1)).rejects.toMatchObject({ code: 'CACHE_RECURSIVE_LOAD' });
      await cache.getOrSet('inner', () => inside.push(isInsideLoad()));
      // The inner load has ended, and this one is still known for what it is.
      await expect(cache.getOrSet('outer', () => 1)).rejects.toMatchObject({ code: 'CACHE_RECURSIVE_LOAD' });
      inside.push(isInsideLoad());
      left = new Promise((resolve) => setTimeout(() => resolve(isInsideLoad()), 20));
      return 1;
    });
    inside.push(isInsideLoad(), (await left) ?? true);
    expect(inside).toEqual([true, true, false, false]);
  });

  it('is over for what it has left behind, also while other loads go on', async () => {
    const { client } = watchedClient();
    const cache = new CacheService({ client, namespace: 'hot' });
    onTestFinished(() => cache.disconnect());
    let end: (value: number) => void = () => undefined;
    const other = cache.getOrSet('other', () => new Promise<number>((resolve) => (end = resolve)));
    let left: Promise<boolean> | undefined;
    await cache.getOrSet('k', () => {
      left = new Promise((resolve) => setTimeout(() => resolve(isInsideLoad()), 20));
      return 1;
    });
    expect(await left).toBe(false);
    end(2);
    expect(await other).toBe(2);
  });

  it('hands out a signal that is one, also to those who copy the context', async () => {
    const { client } = watchedClient();
    const cache = new CacheService({ client, namespace: 'hot' });
    onTestFinished(() => cache.disconnect());
    const seen = await cache.getOrSet('k', (context) => {
      const copied = { ...context };
      return copied.signal instanceof AbortSignal && copied.signal === context.signal;
    });
    expect(seen).toBe(true);
  });
});
