/**
 * Bit flips, cuts and splices of stored values: each must be a miss. 120,000 of them run with the suite,
 * ANBAR_MUTATIONS=2000000 runs more, ANBAR_SEED=… repeats a run.
 */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { expect, it } from 'vitest';
import type { Codec, Decoded } from './codec.js';
import { createCodec } from './create-codec.js';

const TOTAL = Number(process.env['ANBAR_MUTATIONS'] ?? 120_000);
const SEED = Number(process.env['ANBAR_SEED'] ?? 20_261_120);

const context = { namespace: 'shop', key: 'shop:v1:cache:books:{42}' };
const values: readonly unknown[] = [
  0,
  'abc',
  { a: 1 },
  [true, null, 'x'.repeat(40)],
  { at: new Date(0), ids: new Set([1n, 2n]) },
  Array.from({ length: 12 }, (_, index) => ({ id: index, name: `name ${index}` })),
];

/** mulberry32: small, seeded, good enough to choose what to break. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function flipBit(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

type Next = (below: number) => number;

const BREAK: readonly ((bytes: Buffer, next: Next) => Buffer)[] = [
  (bytes, next) => flipBit(flipBit(bytes, next(bytes.length * 8)), next(bytes.length * 8)),
  (bytes, next) => bytes.subarray(next(bytes.length)),
  (bytes, next) => Buffer.concat([bytes, randomBytes(1 + next(8))]),
  (bytes, next) => {
    const copy = Buffer.from(bytes);
    const at = next(copy.length);
    copy.fill(next(256), at, Math.min(copy.length, at + 1 + next(12)));
    return copy;
  },
  (bytes, next) => {
    const at = next(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + next(6))]);
  },
  (bytes, next) => {
    const copy = Buffer.from(bytes);
    for (let swaps = 0; swaps < 3; swaps += 1) copy[next(copy.length)] = next(256);
    return copy;
  },
];

const codecs: readonly (readonly [string, Codec])[] = [
  ['plain', createCodec()],
  ['gzip', createCodec({ compression: { algorithm: 'gzip', threshold: 0 } })],
  ['encrypted', createCodec({ encryption: { keys: [{ id: 'k', secret: randomBytes(32) }] } })],
  [
    'migrating',
    createCodec({ encryption: { keys: [{ id: 'k', secret: randomBytes(32) }], required: false } }),
  ],
];

/** True for a miss; the original bytes themselves, which some mutations give back, are no mutation. */
function isMiss(decoded: Decoded | Promise<Decoded>): boolean {
  return !(decoded instanceof Promise) && !decoded.ok;
}

it.each(codecs)(
  'no mutation of a value is read as a value (%s)',
  (name, codec) => {
    const next = random(SEED);
    const originals = values.map((value, index) => {
      const entry = index % 2 === 0 ? { tags: ['user:1', 'b'], expiresAt: 1_790_000_000_000, clock: 7 } : {};
      return codec.encode(value, { ...context, entry }) as Buffer;
    });
    originals.forEach((bytes, index) => {
      const decoded = codec.decode(bytes, context) as Decoded;
      expect(decoded.ok && isDeepStrictEqual(decoded.value, values[index])).toBe(true);
    });
    let mutations = 0;
    const wrong: string[] = [];
    const attempt = (mutated: Buffer, original: Buffer): void => {
      mutations += 1;
      if (isMiss(codec.decode(mutated, context)) || mutated.equals(original)) return;
      wrong.push(`${original.toString('hex')} -> ${mutated.toString('hex')}`);
    };
    for (const original of originals) {
      for (let bit = 0; bit < original.length * 8; bit += 1) attempt(flipBit(original, bit), original);
      for (let length = 0; length < original.length; length += 1)
        attempt(original.subarray(0, length), original);
    }
    while (mutations < TOTAL / codecs.length) {
      const original = originals[next(originals.length)];
      const change = BREAK[next(BREAK.length)];
      if (original !== undefined && change !== undefined) attempt(change(original, next), original);
    }
    expect(wrong, `seed ${SEED}, ${name}, ${mutations} mutations`).toStrictEqual([]);
  },
  600_000,
);

it('no value is read under the key of another (1,000 keys, all pairs of ten of them with each)', () => {
  for (const [, codec] of codecs) {
    const keys = Array.from({ length: 1_000 }, (_, index) => `shop:v1:cache:books:{user:${index}}`);
    const stored = keys
      .slice(0, 10)
      .map((key) => codec.encode({ key }, { namespace: 'shop', key }) as Buffer);
    for (const [owner, bytes] of stored.entries()) {
      const readers = keys.filter((key) => (codec.decode(bytes, { namespace: 'shop', key }) as Decoded).ok);
      expect(readers).toStrictEqual([keys[owner]]);
    }
  }
});
