/** Values and their expiry. */
import assert from 'node:assert/strict';
import type { Key, RedisAdapter } from '../../../src/connection/index.js';
import type { ContractCase, ContractTools } from '../contract.js';
import { everythingSaid, eventually, rejection, replyKind } from '../expectations.js';

const VALUES: Readonly<Record<string, unknown>> = {
  null: null,
  zero: 0,
  'minus zero': -0,
  number: 1.25,
  'not a number': NaN,
  infinity: -Infinity,
  false: false,
  'empty text': '',
  text: 'نامه, книга, 本, 👩‍👩‍👧',
  'text that looks like a number': '42',
  'text that looks like JSON': '{"a":1}',
  'empty list': [],
  'empty object': {},
  nested: { list: [1, { deep: [null, 'x'] }], of: { of: { of: 1 } } },
  date: new Date(1_700_000_000_123),
  map: new Map<unknown, unknown>([
    ['a', 1],
    [2, new Map([['x', new Date(0)]])],
  ]),
  set: new Set(['a', 1, null]),
  bigint: 2n ** 80n,
  bytes: Buffer.from([0, 13, 10, 255]),
  url: new URL('https://example.org/a?b=c#d'),
};

/** Expiries as users write them, and what they come to in seconds. */
const EXPIRIES = [
  ['90s', 90],
  ['2m', 120],
  ['1h', 3_600],
  ['1500ms', 1.5],
  [30, 30],
  [0.5, 0.5],
] as const;

const NOT_EXPIRIES: readonly unknown[] = [0, -1, NaN, Infinity, '0s', '-1s', 'soon', '1 day', '', '1w'];

/** The time left is what was given, less what a busy machine took to ask. */
export async function assertExpiry(adapter: RedisAdapter, key: Key, seconds: number): Promise<void> {
  const left = await adapter.ttl(key);
  const shown = `${String(left)} s are left of ${seconds} s`;
  assert.ok(typeof left === 'number' && left <= seconds && left > seconds - 10, shown);
}

/** Segments below the prefix of the case. */
function segments({ key }: ContractTools<RedisAdapter>, ...rest: (string | number)[]): Key {
  return [...key('').split(':').filter(Boolean), ...rest];
}

export const values: readonly ContractCase<RedisAdapter>[] = [
  ...Object.entries(VALUES).map(([what, value]) => ({
    name: `a value comes back as it went: ${what}`,
    async run(adapter: RedisAdapter, { key }: ContractTools<RedisAdapter>) {
      assert.equal(await adapter.set(key('k'), value), true);
      assert.deepEqual(await adapter.get(key('k')), value);
      assert.equal(await adapter.exists(key('k')), true);
    },
  })),
  {
    name: 'a miss is undefined; undefined stores nothing and removes nothing',
    async run(adapter, { key }) {
      assert.equal(await adapter.get(key('k')), undefined);
      assert.equal(await adapter.set(key('k'), undefined), false);
      assert.equal(await adapter.exists(key('k')), false);
      await adapter.set(key('k'), 1);
      assert.equal(await adapter.set(key('k'), undefined), false);
      assert.equal(await adapter.get(key('k')), 1);
    },
  },
  {
    name: 'what is written without an expiry gets the default of an hour; never has to be written out',
    async run(adapter, { key }) {
      await adapter.set(key('default'), 1);
      await adapter.set(key('given'), 1, '90s');
      await adapter.set(key('in options'), 1, { ttl: '90s' });
      await adapter.set(key('never'), 1, 'never');
      await assertExpiry(adapter, key('default'), 3_600);
      await assertExpiry(adapter, key('given'), 90);
      await assertExpiry(adapter, key('in options'), 90);
      assert.equal(await adapter.ttl(key('never')), 'never');
      assert.equal(await adapter.ttl(key('none')), undefined);
    },
  },
  {
    name: 'an expiry is a duration or a number of seconds, and anything else is refused with nothing stored',
    async run(adapter, { key }) {
      for (const [ttl, seconds] of EXPIRIES) {
        await adapter.set(key('k'), 1, ttl);
        await assertExpiry(adapter, key('k'), seconds);
      }
      for (const ttl of NOT_EXPIRIES) {
        await rejection(() => adapter.set(key('bad'), 1, ttl as number), 'INVALID_DURATION');
        await rejection(() => adapter.expire(key('k'), ttl as number), 'INVALID_DURATION');
        await rejection(() => adapter.incr(key('bad'), 1, { ttl: ttl as number }), 'INVALID_DURATION');
        await rejection(() => adapter.hset(key('bad'), 'f', 1, { ttl: ttl as number }), 'INVALID_DURATION');
      }
      assert.equal(await adapter.exists(key('bad')), false);
    },
  },
  {
    name: 'a value that has expired is a miss',
    async run(adapter, { key }) {
      await adapter.set(key('k'), 1, '40ms');
      await eventually('the value to expire', async () => (await adapter.get(key('k'))) === undefined);
      assert.equal(await adapter.exists(key('k')), false);
    },
  },
  {
    name: 'set may be bound to the key being absent or present, and says whether it wrote',
    async run(adapter, { key }) {
      assert.equal(await adapter.set(key('k'), 1, { when: 'present' }), false);
      assert.equal(await adapter.set(key('k'), 2, { when: 'absent' }), true);
      assert.equal(await adapter.set(key('k'), 3, { when: 'absent' }), false);
      assert.equal(await adapter.get(key('k')), 2);
      assert.equal(await adapter.set(key('k'), 4, { when: 'present', ttl: '90s' }), true);
      assert.equal(await adapter.get(key('k')), 4);
      await assertExpiry(adapter, key('k'), 90);
    },
  },
  {
    name: 'delete, exists and expire say whether there was something',
    async run(adapter, { key }) {
      assert.equal(await adapter.delete(key('k')), false);
      assert.equal(await adapter.expire(key('k'), '1m'), false);
      assert.equal(await adapter.expire(key('k'), 'never'), false);
      await adapter.set(key('k'), 1);
      assert.equal(await adapter.expire(key('k'), '1m'), true);
      await assertExpiry(adapter, key('k'), 60);
      assert.equal(await adapter.expire(key('k'), 'never'), true);
      assert.equal(await adapter.ttl(key('k')), 'never');
      assert.equal(await adapter.expire(key('k'), 'never'), true);
      assert.equal(await adapter.delete(key('k')), true);
      assert.equal(await adapter.exists(key('k')), false);
    },
  },
  {
    name: 'many at once: values in the order of the keys, misses in their places',
    async run(adapter, { key }) {
      const entries = Array.from({ length: 50 }, (_, i) => [key(`${i}`), { i }] as const);
      await adapter.setMany(entries, '90s');
      const asked = [key('49'), key('none'), key('0'), key('49')];
      assert.deepEqual(await adapter.getMany(asked), [{ i: 49 }, undefined, { i: 0 }, { i: 49 }]);
      assert.deepEqual(await adapter.getMany([]), []);
      await assertExpiry(adapter, key('7'), 90);
      assert.equal(await adapter.deleteMany([key('0'), key('none'), key('1')]), 2);
      await adapter.setMany(new Map([[key('0'), undefined]]));
      assert.equal(await adapter.exists(key('0')), false);
    },
  },
  {
    name: 'segments can not be confused, whatever stands in them; a string is the key itself',
    async run(adapter, tools) {
      const keys = [
        segments(tools, 'a:b', 'c'),
        segments(tools, 'a', 'b:c'),
        segments(tools, 'a', 'b', 'c'),
        segments(tools, 'a%3Ab', 'c'),
        segments(tools, '{a}', '*'),
        segments(tools, 'a', ''),
        segments(tools, 'a'),
        segments(tools, 1, 2),
      ];
      for (const [i, key] of keys.entries()) await adapter.set(key, i);
      assert.deepEqual(
        await adapter.getMany(keys),
        keys.map((_, i) => i),
      );
      await adapter.set(tools.key('x:y'), 'same');
      assert.equal(await adapter.get(segments(tools, 'x', 'y')), 'same');
    },
  },
  {
    name: 'what others stored and nobody can read is an error that does not quote it',
    async run(adapter, { key }) {
      const foreign = 'planted-secret-value {';
      await adapter.command('SET', [key('k'), foreign]);
      await adapter.command('HSET', [key('h'), 'f', foreign]);
      for (const read of [
        () => adapter.get(key('k')),
        () => adapter.getMany([key('none'), key('k')]),
        () => adapter.hget(key('h'), 'f'),
        () => adapter.hgetAll(key('h')),
      ]) {
        const said = everythingSaid(await rejection(read, 'VALUE_UNREADABLE'));
        assert.ok(!said.includes('planted'), said);
      }
      await adapter.command('SET', [key('plain'), '{"from":"elsewhere"}']);
      assert.deepEqual(await adapter.get(key('plain')), { from: 'elsewhere' });
    },
  },
  {
    name: 'a value of a kind that can not be kept is refused, and nothing is stored',
    async run(adapter, { key }) {
      const round: Record<string, unknown> = {};
      round['self'] = round;
      for (const value of [() => 1, Symbol('s'), round]) {
        await rejection(() => adapter.set(key('k'), value), 'VALUE_UNSERIALIZABLE');
      }
      assert.equal(await adapter.exists(key('k')), false);
    },
  },
  {
    name: 'a property named __proto__ is data and reaches no prototype',
    async run(adapter, { key }) {
      const value: unknown = JSON.parse('{"__proto__":{"polluted":true},"a":1}');
      await adapter.set(key('k'), value);
      const back = await adapter.get<object>(key('k'));
      assert.ok(back !== undefined && Object.hasOwn(back, '__proto__'));
      assert.equal(Reflect.get({}, 'polluted'), undefined);
      assert.equal(Object.getPrototypeOf(back), Object.prototype);
    },
  },
  {
    name: 'a key that holds another type fails with its kind',
    async run(adapter, { key }) {
      await adapter.hset(key('h'), 'f', 1);
      assert.equal(await replyKind(adapter.get(key('h'))), 'WRONGTYPE');
      assert.equal(await replyKind(adapter.incr(key('h'))), 'WRONGTYPE');
      await adapter.set(key('k'), 1);
      assert.equal(await replyKind(adapter.hset(key('k'), 'f', 1)), 'WRONGTYPE');
      assert.equal(await replyKind(adapter.hgetAll(key('k'))), 'WRONGTYPE');
    },
  },
];
