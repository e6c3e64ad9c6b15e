/** Values, expiry, counters and hashes. */
import assert from 'node:assert/strict';
import { eventually, reason, rejection, replyKind } from '../expectations.js';
import { cacheOf, elsewhere, rawKey, type CacheCase, type CacheSubject, type CacheTools } from './subject.js';

const VALUES: Readonly<Record<string, unknown>> = {
  null: null,
  zero: 0,
  false: false,
  'empty text': '',
  text: 'نامه, книга, 本, 👩‍👩‍👧',
  'text that looks like a number': '42',
  nested: { list: [1, { deep: [null, 'x'] }] },
  date: new Date(1_700_000_000_123),
  map: new Map<unknown, unknown>([['a', new Set([1, null])]]),
  bigint: 2n ** 80n,
  bytes: Buffer.from([0, 13, 10, 255]),
  'not a number': NaN,
};

const NOT_KEYS: readonly unknown[] = ['', [], [''], ['user', undefined], ['user', NaN], ['user', null]];

export const values: readonly CacheCase[] = [
  ...Object.entries(VALUES).map(([what, value]) => ({
    name: `a value comes back as it went, here and elsewhere: ${what}`,
    async run(subject: CacheSubject, tools: CacheTools) {
      const cache = cacheOf(subject, tools);
      assert.equal(await cache.set('k', value), true);
      assert.deepEqual(await cache.get('k'), value);
      assert.deepEqual(await (await elsewhere(tools)).get('k'), value);
      assert.equal(await cache.has('k'), true);
    },
  })),
  {
    name: 'a miss is undefined; undefined stores nothing and removes nothing',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      assert.equal(await cache.get('k'), undefined);
      assert.equal(await cache.has('k'), false);
      assert.equal(await cache.set('k', undefined), false);
      await cache.set('k', 1);
      assert.equal(await cache.set('k', undefined), false);
      assert.equal(await cache.get('k'), 1);
    },
  },
  {
    name: 'segments and a string are the same key where they say the same; data can not forge another',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      await cache.set(['user', 42], 'segments');
      assert.equal(await cache.get('user:42'), 'segments');
      assert.equal(await cache.get(['user:42']), undefined);
      for (const nasty of ['a}b', '{}', '{', '}x', '%7D', 'a\nb', '*', 'a:b', '__proto__']) {
        await cache.set([nasty], nasty);
        assert.equal(await cache.get([nasty]), nasty);
        assert.equal(await cache.delete([nasty]), true);
        assert.equal(await cache.get([nasty]), undefined);
      }
    },
  },
  {
    name: 'a key that names nothing is refused, so that a missing id is not one key for everybody',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      for (const key of NOT_KEYS) {
        await rejection(() => cache.get(key as string), 'INVALID_CACHE_KEY');
        await rejection(() => cache.set(key as string, 1), 'INVALID_CACHE_KEY');
      }
    },
  },
  {
    name: 'what is stored expires: by default in an hour, or as told; never has to be written out',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      await cache.set('default', 1);
      await cache.set('text', 1, '90s');
      await cache.set('seconds', 1, { ttl: 30 });
      await cache.set('never', 1, 'never');
      const left = await Promise.all(['default', 'text', 'seconds'].map((key) => cache.ttl(key)));
      for (const [i, most] of [3_600, 90, 30].entries()) {
        assert.ok(Number(left[i]) <= most && Number(left[i]) > most - 10, `${String(left[i])} of ${most}`);
      }
      assert.equal(await cache.ttl('never'), 'never');
      assert.equal(await cache.ttl('absent'), undefined);
      await rejection(() => cache.set('k', 1, '0s'), 'INVALID_DURATION');
    },
  },
  {
    name: 'an expired value is gone, for get, has, ttl and expire',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      await cache.set('k', 1, '40ms');
      await eventually('the expiry', async () => (await cache.get('k')) === undefined);
      assert.equal(await cache.has('k'), false);
      assert.equal(await cache.ttl('k'), undefined);
      assert.equal(await cache.expire('k', '1h'), false);
    },
  },
  {
    name: 'expire changes the expiry of a value in one step and keeps the value',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      await cache.set('k', { a: 1 }, '10s');
      assert.equal(await cache.expire('k', '2h'), true);
      assert.ok(Number(await cache.ttl('k')) > 7_000);
      assert.equal(await cache.expire('k', 'never'), true);
      assert.equal(await cache.ttl('k'), 'never');
      assert.deepEqual(await cache.get('k'), { a: 1 });
      assert.equal(await cache.expire('absent', '1h'), false);
    },
  },
  {
    name: 'many values at once, in the order of the keys',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const keys = Array.from({ length: 50 }, (_, i) => ['many', i]);
      await cache.setMany(keys.map((key, i) => [key, i]));
      assert.deepEqual(await cache.getMany([...keys, 'absent']), [...keys.keys(), undefined]);
      assert.equal(await cache.deleteMany([...keys.slice(10), 'absent']), 40);
      assert.equal((await cache.getMany(keys)).filter((value) => value === undefined).length, 40);
    },
  },
  {
    name: 'counters: incr counts from 0, get reads them, a stored value is none',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      assert.equal(await cache.incr('n'), 1);
      assert.equal(await cache.incr('n', 41), 42);
      assert.equal(await cache.get('n'), 42);
      assert.equal(await cache.has('n'), true);
      assert.ok(Number(await cache.ttl('n')) > 3_000);
      assert.equal(await cache.expire('n', '10s'), true);
      assert.ok(Number(await cache.ttl('n')) <= 10);
      await cache.set('v', 5);
      assert.equal(await replyKind(cache.incr('v')), 'ERR');
      assert.equal(await cache.delete('n'), true);
      assert.equal(await cache.incr('n'), 1);
    },
  },
  {
    name: 'hashes: fields keep their types, a hash is no value and a value is no hash',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      assert.equal(await cache.hset('h', { when: new Date(5), count: 1n }), 2);
      assert.equal(await cache.hset('h', 'count', 2n, '1h'), 0);
      assert.deepEqual(await cache.hget('h', 'when'), new Date(5));
      assert.equal(await cache.hget('h', 'count'), 2n);
      assert.equal(await cache.hget('h', 'absent'), undefined);
      assert.equal(await cache.hget('absent', 'x'), undefined);
      assert.equal(await cache.get('h'), undefined);
      assert.equal(await cache.has('h'), true);
      assert.ok(Number(await cache.ttl('h')) > 3_000);
      assert.equal(await cache.delete('h'), true);
      assert.equal(await cache.has('h'), false);
    },
  },
  {
    name: 'what can not be stored is refused by set, with its place and without its content',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const error = await rejection(() => cache.set('k', { secret: () => 'x' }), 'VALUE_UNSERIALIZABLE');
      assert.match(error.message, /\$\.secret/u);
    },
  },
  {
    name: 'bytes that are not ours are a miss: foreign ones, and those of another key',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const at = (name: string): string => rawKey(subject, tools, { family: 'cache', name });
      await subject.client.command('SET', [at('foreign'), '{"a":1}']);
      assert.equal(await cache.get('foreign'), undefined);
      await cache.set('one', 'of one');
      const bytes = await subject.client.command<Buffer>('GET', [at('one')], { reply: 'bytes' });
      await subject.client.command('SET', [at('two'), bytes]);
      assert.equal(await cache.get('two'), undefined);
      assert.equal(await cache.getOrSet('two', () => 'of two'), 'of two');
    },
  },
  {
    name: 'named caches do not see each other, and the same name is the same cache',
    async run(subject, tools) {
      const { cache } = subject;
      const one = cache.namespace(tools.key('one'));
      const two = cache.namespace(tools.key('two'));
      assert.equal(cache.namespace(tools.key('one')), one);
      await one.set('k', 1);
      await two.set('k', 2);
      assert.equal(await one.get('k'), 1);
      await one.flush();
      assert.equal(await one.get('k'), undefined);
      assert.equal(await two.get('k'), 2);
      const third = cache.namespace(tools.key('three'), { ttl: undefined });
      await third.set('k', 3);
      assert.equal(
        await third.ttl('k').then(Number).then(Math.ceil),
        3_600,
        'left open, as if it were not there',
      );
    },
  },
  {
    name: 'an aborted read rejects with the reason of the signal',
    async run(subject, tools) {
      const cache = cacheOf(subject, tools);
      const signal = AbortSignal.abort(new Error('enough'));
      assert.match(String(await reason(cache.get('k', { signal }))), /enough/u);
      assert.match(String(await reason(cache.getOrSet('k', () => 1, { signal }))), /enough/u);
    },
  },
];
