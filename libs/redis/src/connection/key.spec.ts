import fc from 'fast-check';
import { expect, it } from 'vitest';
import { escapeSegment, toKey } from './key.js';

it.each([
  ['as it is: {x} %', 'as it is: {x} %'],
  [['a', 'b', 3], 'a:b:3'],
  [['a:b', 'c'], 'a%3Ab:c'],
  [['a', 'b:c'], 'a:b%3Ac'],
  [['100%', '%3A'], '100%25:%253A'],
  [['{tag}'], '%7Btag%7D'],
  [['line\nbreak\0', '\u007f'], 'line%0Abreak%00:%7F'],
  [['نام', '本', '👩‍👩‍👧'], 'نام:本:👩‍👩‍👧'],
  [['a', ''], 'a:'],
  [[''], ''],
  [['*', '?', '[a]'], '*:?:[a]'],
])('%j becomes %j', (key, text) => {
  expect(toKey(key)).toBe(text);
});

it('different segments never make the same key', () => {
  const segments = fc.array(
    fc.string({ unit: fc.constantFrom(':', '%', '{', '}', 'a', 'b', '3', 'A', '\n'), maxLength: 4 }),
    {
      minLength: 1,
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(segments, segments, (a, b) => {
      expect(toKey(a) === toKey(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    }),
  );
});

it('an escaped segment holds no separator, no hash tag and no control character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      // eslint-disable-next-line no-control-regex -- control characters are what it looks for
      expect(escapeSegment(text)).not.toMatch(/[:{}\u0000-\u001f\u007f]/u);
    }),
  );
});
