/**
 * What was invalidated and acknowledged is not answered again. Each case holds a loader that has read the old
 * state of the origin, invalidates, and lets the loader go on.
 */
import assert from 'node:assert/strict';
import type { CacheContract } from '../../../src/cache/index.js';
import type { Key } from '../../../src/connection/index.js';
import { cacheOf, elsewhere, pause, SlowOrigin, tagKey, type CacheCase } from './subject.js';

/** Every way to invalidate the key `book:1` that was loaded under the tag `tag`. */
function invalidations(tag: string): Readonly<Record<string, (cache: CacheContract) => Promise<unknown>>> {
  return {
    delete: (cache) => cache.delete('book:1'),
    deleteMany: (cache) => cache.deleteMany(['book:1', 'book:2']),
    invalidateTags: (cache) => cache.invalidateTags([tag]),
    flush: (cache) => cache.flush(),
    'deletePrefix by segments': (cache) => cache.deletePrefix(['book']),
    'deletePrefix by text': (cache) => cache.deletePrefix('boo'),
  };
}

const WAYS = Object.keys(invalidations(''));

/** Tags are common to all caches of a namespace. */
const tagOf = (tools: { key(name: string): string }): string => tools.key('tag').replaceAll(':', '-');

const duringALoad: readonly CacheCase[] = WAYS.map((way) => ({
  name: `${way} during a load: what the load had read is never answered later, here or elsewhere`,
  async run(subject, tools) {
    const cache = cacheOf(subject, tools);
    const other = await elsewhere(tools);
    const tag = tagOf(tools);
    const invalidate = invalidations(tag)[way];
    const origin = new SlowOrigin('old');
    const options = { tags: [tag] };
    const first = cache.getOrSet('book:1', origin.load, options);
    await origin.started();
    origin.value = 'new';
    await invalidate?.(other);
    const joinedAfter = [cache, other].map((each) => each.getOrSet('book:1', origin.load, options));
    await pause(20);
    origin.finish();
    assert.equal(await first, 'old', 'whoever asked before may have what was before');
    await origin.started();
    origin.finish();
    const finishing = setInterval(() => origin.finish(), 5);
    assert.deepEqual(await Promise.all(joinedAfter), ['new', 'new']);
    clearInterval(finishing);
    for (const each of [cache, other]) {
      assert.equal(await each.getOrSet('book:1', () => 'new', options), 'new');
    }
  },
}));

const afterALoad: readonly CacheCase[] = WAYS.map((way) => ({
  name: `${way} of what is stored: gone at once, here and elsewhere`,
  async run(subject, tools) {
    const cache = cacheOf(subject, tools);
    const other = await elsewhere(tools);
    const tag = tagOf(tools);
    const invalidate = invalidations(tag)[way];
    for (const turn of ['first', 'second', 'third']) {
      await cache.getOrSet('book:1', () => turn, { tags: [tag, 'other'] });
      assert.deepEqual([await cache.get('book:1'), await other.get('book:1')], [turn, turn]);
      assert.ok([undefined, turn].includes(cache.held('book:1')), 'what is held is what is stored');
      await invalidate?.(turn === 'second' ? cache : other);
      assert.deepEqual([cache.held('book:1'), other.held('book:1')], [undefined, undefined]);
      assert.deepEqual([await cache.get('book:1'), await other.get('book:1')], [undefined, undefined]);
      await cache.set('book:1', turn, { tags: [tag] });
      assert.equal(await other.get('book:1'), turn, 'what is stored afterwards counts');
      await invalidate?.(cache);
      assert.equal(await other.get('book:1'), undefined);
    }
  },
}));

const special: readonly CacheCase[] = [
  {
    name: 'set during a load wins over what the load brings, and those who wait get it',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const other = await elsewhere(tools);
      const origin = new SlowOrigin('old');
      const first = cache.getOrSet('k', origin.load);
      await origin.started();
      const waiting = other.getOrSet('k', origin.load);
      await pause(20);
      await other.set('k', 'set');
      assert.equal(await waiting, 'set');
      const later = cache.getOrSet('k', origin.load);
      origin.finish();
      assert.equal(await first, 'old');
      assert.equal(await later, 'set');
      assert.equal(await cache.get('k'), 'set');
      assert.equal(origin.calls, 1);
    },
  },
  {
    name: 'tags that are known only after the load are fenced too',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const other = await elsewhere(tools);
      const tag = tagOf(tools);
      const origin = new SlowOrigin('old');
      const load = async (context: { setTags(tags: readonly string[]): void }): Promise<string> => {
        const value = await origin.load();
        context.setTags([tag]);
        return value;
      };
      const first = cache.getOrSet('k', load);
      await origin.started();
      origin.value = 'new';
      await other.invalidateTags(tag);
      origin.finish();
      await first;
      assert.equal(await cache.get('k'), undefined);
      assert.equal(await other.getOrSet('k', () => 'new', { tags: [tag] }), 'new');
      assert.equal(await cache.get('k'), 'new');
    },
  },
  {
    name: 'a tag reaches all caches of the namespace, and no key without it',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const second = subject.cache.namespace(tools.key('second'));
      const tag = tagOf(tools);
      await Promise.all([cache.set('k', 1, { tags: [tag] }), second.set('k', 2, { tags: [tag, 'x'] })]);
      await cache.set('untagged', 3);
      await cache.invalidateTags([tag]);
      assert.deepEqual(await Promise.all([cache.get('k'), second.get('k'), cache.get('untagged')]), [
        undefined,
        undefined,
        3,
      ]);
    },
  },
  {
    name: 'a tag whose clock Redis has lost invalidates: an eviction brings nothing back',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const tag = tagOf(tools);
      await cache.set('k', 'old', { tags: [tag] });
      await cache.invalidateTags(tag);
      await subject.client.command('DEL', [tagKey(subject, tag)]);
      assert.equal(await cache.get('k'), undefined);
      await cache.getOrSet('other', () => 'new', { tags: [tag] });
      assert.equal(await cache.get('k'), undefined, 'nor does the tag made anew');
      assert.equal(await cache.get('other'), 'new');
    },
  },
  {
    name: 'more keys and tags at once than a connection takes calls',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const keys = Array.from({ length: 1_500 }, (_, i) => `many:${i}`);
      const tags = keys.map((_, i) => `${tagOf(tools)}-${i}`);
      await cache.invalidateTags(tags);
      const asked: number[] = [];
      const load = (missing: readonly Key[]): string[] => {
        asked.push(missing.length);
        return missing.map((key) => `value of ${String(key)}`);
      };
      const values = keys.map((key) => `value of ${key}`);
      assert.deepEqual(await cache.getOrSetMany(keys, load), values);
      assert.deepEqual(await cache.getMany(keys), values, 'all of them are stored');
      assert.deepEqual(asked, [keys.length], 'one call for all of them');
    },
  },
  {
    name: 'a namespace clock that is lost or set back does not hide a later invalidation',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const tag = tagOf(tools);
      await cache.invalidateTags(tag);
      await cache.getOrSet('k', () => 'old', { tags: [tag] });
      await subject.client.command('SET', [`${subject.namespace}:v1:clock`, '1']);
      await (await elsewhere(tools)).invalidateTags(tag);
      assert.equal(await cache.get('k'), undefined);
    },
  },
  {
    name: 'deletePrefix takes segments as segments, and patterns in data as data',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const all = ['user:4', 'user:4:orders', 'user:42', 'userx', 'us*r:1'];
      await cache.setMany(all.map((key) => [key, key]));
      assert.equal(await cache.deletePrefix(['user', 4]), 2);
      assert.deepEqual(await cache.getMany(all), [undefined, undefined, 'user:42', 'userx', 'us*r:1']);
      assert.equal(await cache.deletePrefix('us*r'), 1);
      assert.deepEqual(await cache.getMany(all.slice(2)), ['user:42', 'userx', undefined]);
      await cache.incr('user:n');
      assert.equal(await cache.deletePrefix('user:'), 2);
    },
  },
  {
    name: 'flush removes thousands of keys on all nodes, and nothing of others',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const neighbour = subject.cache.namespace(tools.key('neighbour'));
      await neighbour.set('k', 1);
      const keys = Array.from({ length: 1_500 }, (_, i) => `flushed:${i}`);
      await cache.setMany(keys.map((key) => [key, key]));
      await cache.hset('hash', 'f', 1);
      await cache.incr('count');
      assert.equal(await cache.flush(), keys.length + 2);
      assert.deepEqual(new Set(await cache.getMany(keys)), new Set([undefined]));
      assert.equal(await cache.has('hash'), false);
      assert.equal(await neighbour.get('k'), 1);
      assert.equal(await cache.flush(), 0);
    },
  },
  {
    name: 'what was invalidated is not served stale either, not even when loading fails',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools, { stale: '1h', staleOnError: '1h' });
      const tag = tagOf(tools);
      await cache.getOrSet('k', () => 'old', { tags: [tag], ttl: '1h' });
      await cache.invalidateTags(tag);
      const failing = (): Promise<string> => Promise.reject(new Error('origin is down'));
      await assert.rejects(cache.getOrSet('k', failing), /origin is down/u);
    },
  },
];

export const fences: readonly CacheCase[] = [...duringALoad, ...afterALoad, ...special];
