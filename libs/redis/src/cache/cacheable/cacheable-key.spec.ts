import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { argumentsKey, bounded } from './cacheable-key.js';

const key = (...args: unknown[]): string => argumentsKey(args, 'Books.find');

describe('the key of arguments', () => {
  it.each([
    [[], '()'],
    [['a', undefined], '"a"'],
    [[undefined, 1], 'undefined,1'],
    [[1, '1', 1n, true, null], '1,"1",1n,true,null'],
    [[-0, Number.NaN], '0,NaN'],
    [[{ b: 1, a: [new Date(5)] }], '{"a":[Date(5)],"b":1}'],
    [[new Map([['a', 1]]), new Set([1])], 'Map(["a",1]),Set(1)'],
    [[new URL('http://a/')], 'URL("http://a/")'],
  ])('row %#', (args, expected) => {
    expect(key(...args)).toBe(expected);
  });

  it.each([
    ['a function', () => 1, 'is a function'],
    ['a symbol', Symbol('a'), 'is a symbol'],
    [
      'an instance',
      new (class User {
        readonly id = 1;
      })(),
      'is an instance of User',
    ],
    ['a proxy', new Proxy({}, {}), 'is a proxy'],
    ['a promise', Promise.resolve(), 'is an instance of Promise'],
    [
      'a date in a time zone',
      Object.assign(new Date(5), { timeZone: 'Asia/Tehran' }),
      'has fields of its own',
    ],
    ['a list of a tenant', Object.assign([1], { tenant: 'one' }), 'has fields of its own'],
    ['a map of a tenant', Object.assign(new Map(), { tenant: 'one' }), 'has fields of its own'],
    ['a set of a tenant', Object.assign(new Set(), { tenant: 'one' }), 'has fields of its own'],
    ['a URL of a tenant', Object.assign(new URL('http://a/'), { tenant: 'one' }), 'has fields of its own'],
    ['named by a symbol', { [Symbol('a')]: 1 }, 'has properties named by symbols'],
  ])('refuses %s', (_, value, problem) => {
    expect(() => key({ deep: [value] })).toThrow(`Books.find: argument 1.deep[0] ${problem}`);
  });

  it('refuses what holds itself', () => {
    const value: { self?: unknown } = {};
    value.self = value;
    expect(() => key(value)).toThrow('nested too deep');
  });

  it('is the same for equal values and only for them, however long (seed 11)', () => {
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(1n, new Date(1), '1', 1, 'Date(1)'),
    );
    fc.assert(
      fc.property(value, value, (one, other) => {
        expect(key(one) === key(other)).toBe(isDeepStrictEqual(positive(one), positive(other)));
      }),
      { seed: 11, numRuns: 3_000 },
    );
    expect(key('x'.repeat(1_000))).toMatch(/^#[\w-]{43}$/u);
  });
});

/** -0 is the same argument as 0. */
function positive(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value === 0 ? 0 : value;
  if (Array.isArray(value)) return value.map(positive);
  const fields = Object.entries(value).map(([name, item]) => [name, positive(item)] as const);
  return Object.fromEntries(fields);
}

it('no text that somebody has sent is taken for the digest of another', () => {
  const digest = bounded('x'.repeat(200));
  expect(digest).toMatch(/^#[\w-]{43}$/u);
  expect(bounded(digest)).not.toBe(digest);
  expect(bounded('short')).toBe('short');
});
