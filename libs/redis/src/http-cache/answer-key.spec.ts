import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalised, onlyParameters, Origins } from './answer-key.js';
import { directivesOf, wishesOf } from './cache-control.js';
import { matches } from './conditional.js';
import type { Exchange } from './exchange.js';
import { etagOf } from './stored-answer.js';

describe('the order of parameters', () => {
  it.each([
    ['/a', '/a'],
    ['/a?', '/a'],
    ['/a?b=2&a=1', '/a?a=1&b=2'],
    ['/a?a=2&a=1', '/a?a=2&a=1'],
    ['/a?b=1&&a=2', '/a?a=2&b=1'],
    ['/a?a[b]=2&a=1', '/a?a[b]=2&a=1'],
    ['/a?a=1&a[b]=2', '/a?a=1&a[b]=2'],
    ['/a?%61=2&a=1', '/a?%61=2&a=1'],
  ])('%s is %s', (url, expected) => {
    expect(normalised(url)).toBe(expected);
  });

  it('never joins two queries that a parser reads in two ways (seed 7)', () => {
    const name = fc.constantFrom('a', 'b', 'a[x]', '%61', 'a+b', '');
    const pair = fc
      .tuple(name, fc.constantFrom('1', '2', '%20', '+'))
      .map(([key, value]) => `${key}=${value}`);
    const query = fc.array(pair, { maxLength: 4 });
    const read = (pairs: readonly string[]): string => {
      const parsed = new Map<string, string[]>();
      for (const text of pairs) {
        const [key = '', value = ''] = text.split('=');
        const decoded = decodeURIComponent(key.replaceAll('+', ' ')).replace(/\[.*$/u, '');
        parsed.set(decoded, [...(parsed.get(decoded) ?? []), `${key}:${value}`]);
      }
      return JSON.stringify([...parsed].toSorted(([one], [other]) => (one < other ? -1 : 1)));
    };
    fc.assert(
      fc.property(query, query, (one, other) => {
        if (normalised(`/?${one.join('&')}`) !== normalised(`/?${other.join('&')}`)) return;
        expect(read(one)).toBe(read(other));
      }),
      { seed: 7, numRuns: 3_000 },
    );
  });

  it('only listed parameters count, and others are noticed', () => {
    expect(onlyParameters('/a?page=1&x=2', ['page'])).toEqual({ url: '/a?page=1', others: true });
    expect(onlyParameters('/a?page=1', ['page'])).toEqual({ url: '/a?page=1', others: false });
    expect(onlyParameters('/a', ['page'])).toEqual({ url: '/a', others: false });
    // All that is in a parameter counts with it, however it is listed.
    for (const listed of ['filter', 'filter[name]', 'filter.name']) {
      for (const url of ['/a?filter[name]=1', '/a?filter[x]=2&filter.y=3', '/a?filter=4'])
        expect(onlyParameters(`${url}&x=2`, [listed])).toEqual({ url, others: true });
      expect(onlyParameters('/a?filters=1', [listed])).toEqual({ url: '/a', others: true });
    }
    // A parser may take these for the listed one: another key, and not stored.
    for (const url of ['/a?p%61ge=1&page=2', '/a?[page]=1&page=2'])
      expect(onlyParameters(`${url}&x=2`, ['page'])).toEqual({ url, others: true });
  });
});

it.each([
  ['"a"', true],
  ['W/"a"', true],
  ['"b", W/"a"', true],
  ['*', true],
  ['"b"', false],
  ['a', false],
])('RFC 9110, 8.8.3.2: If-None-Match %s against "a": %s', (list, expected) => {
  expect(matches(list, '"a"')).toBe(expected);
});

it('RFC 9111, 5.2: directives in whatever case, with and without arguments', () => {
  expect([...directivesOf('Max-Age=5, private="a, b" , No-Store')]).toEqual([
    ['max-age', '5'],
    ['private', 'a, b'],
    ['no-store', ''],
  ]);
});

it('RFC 9110, 8.8.1: a tag differs by body, status and whose answer it is', () => {
  const sent = { status: 200, body: 'a' };
  const tags = [
    etagOf(sent, 'ann'),
    etagOf(sent, 'bob'),
    etagOf({ ...sent, body: 'b' }, 'ann'),
    etagOf({ ...sent, status: 203 }, 'ann'),
  ];
  expect(new Set(tags).size).toBe(4);
  expect(etagOf(sent, 'ann')).toBe(tags[0]);
});

it('two hosts never have one origin (seed 11)', () => {
  const from = (headers: Record<string, string>): Exchange => ({ raw: { headers } }) as unknown as Exchange;
  const text = fc
    .array(fc.constantFrom('a', ':', '~', '#', '%3A', '80', 'x'.repeat(100)))
    .map((parts) => parts.join(''));
  const origins = new Origins();
  fc.assert(
    fc.property(text, text, (one, other) => {
      const [first, second] = [one, other].map((host) => origins.of(from({ host }), false));
      expect(first === second).toBe(one === other);
      // What a proxy says is not what the host says.
      expect(origins.of(from({ host: one, 'x-forwarded-host': other }), true)).not.toBe(first);
    }),
    { seed: 11, numRuns: 2_000 },
  );
});

const UNSAID = { revalidate: false, only: false, maxAgeS: Infinity, minFreshS: 0, maxStaleS: 0 };

it.each([
  ['max-age=5, min-fresh=2', { maxAgeS: 5, minFreshS: 2 }],
  ['max-age=0', { maxAgeS: 0, revalidate: true }],
  ['no-cache', { revalidate: true }],
  ['only-if-cached, max-stale', { only: true, maxStaleS: Infinity }],
  ['max-stale=30', { maxStaleS: 30 }],
  ['max-age=-1, min-fresh=soon, max-stale=1.5', {}],
])('RFC 9111, 5.2.1: Cache-Control: %s of a request', (text, said) => {
  expect(wishesOf(directivesOf(text))).toEqual({ ...UNSAID, ...said });
});
