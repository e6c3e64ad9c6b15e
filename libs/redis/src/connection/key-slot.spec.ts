import fc from 'fast-check';
import { expect, it } from 'vitest';
import { keySlot, SLOT_COUNT } from './key-slot.js';

// From the specification of Redis Cluster, and from CLUSTER KEYSLOT of a server.
it.each([
  ['foo', 12_182],
  ['bar', 5_061],
  ['hello', 866],
  ['123456789', 12_739],
  ['', 0],
  ['a', 15_495],
  ['{user1000}.following', 3_443],
  ['{user1000}.followers', 3_443],
  ['user1000', 3_443],
  ['foo{bar}{zap}', 5_061],
])('%j lives in slot %i', (key, slot) => {
  expect(keySlot(key)).toBe(slot);
});

it.each([
  ['foo{}{bar}', 'an empty tag is none'],
  ['foo{bar', 'an open tag is none'],
  ['}foo{', 'nor is one the wrong way round'],
])('%j is hashed as a whole: %s', (key) => {
  expect(keySlot(key)).toBe(keySlot(Buffer.from(key)));
  expect(keySlot(key)).not.toBe(keySlot('bar'));
  expect(keySlot(key)).not.toBe(keySlot(''));
});

it('takes the first tag, up to the first closing brace', () => {
  expect(keySlot('foo{{bar}}zap')).toBe(keySlot('{bar'));
});

it('text, its bytes and a number hash alike, and every slot is in range', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), (key) => {
      const slot = keySlot(key);
      expect(slot).toBe(keySlot(Buffer.from(key)));
      expect(slot >= 0 && slot < SLOT_COUNT).toBe(true);
    }),
  );
  expect(keySlot(42)).toBe(keySlot('42'));
});

it('a tag decides alone', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string(), (tag, rest) => {
      fc.pre(!tag.includes('}'));
      expect(keySlot(`{${tag}}${rest}`)).toBe(keySlot(`{${tag}}`));
    }),
  );
});
