/**
 * The checksum of values in plain text: CRC32, begun with the namespace and the key, so that the bytes of
 * another key do not pass either. It finds accidents (bit flips, cut values, replies to another question); it
 * does not stop somebody who can write to the store. For that there is encryption.
 */
import { crc32 } from 'node:zlib';
import type { CodecContext } from './codec.js';

export const CHECKSUM_BYTES = 4;

/** What CRC32 gives over any bytes that are followed by their own checksum, low byte first. */
const RESIDUE = 0x2144df1c;

/** Below this length, stepping through a key here is cheaper than handing the string to native code. */
const SHORT_KEY = 64;

const MOST_SEEDS = 1_024;

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

const seeds = new Map<string, number>();

/** Writes the checksum of everything before them into the last four bytes. */
export function writeChecksum(envelope: Buffer, context: CodecContext): void {
  const end = envelope.length - CHECKSUM_BYTES;
  envelope.writeUInt32LE(crc32(envelope.subarray(0, end), seedOf(context)), end);
}

/** Looks at the whole envelope at once: taking off the last four bytes would cost a view per value. */
export function hasValidChecksum(envelope: Buffer, context: CodecContext): boolean {
  return crc32(envelope, seedOf(context)) === RESIDUE;
}

function seedOf(context: CodecContext): number {
  return crc32OfText(context.key, namespaceSeed(context.namespace));
}

function namespaceSeed(namespace: string): number {
  const known = seeds.get(namespace);
  if (known !== undefined) return known;
  // The length keeps 'a' + 'bc' and 'ab' + 'c' apart.
  const seed = crc32(`${Buffer.byteLength(namespace)}:${namespace}`);
  if (seeds.size >= MOST_SEEDS) seeds.clear();
  seeds.set(namespace, seed);
  return seed;
}

/** The same as `crc32(text, seed)`. */
export function crc32OfText(text: string, seed: number): number {
  if (text.length > SHORT_KEY) return crc32(text, seed);
  let state = ~seed;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return crc32(text, seed);
    state = (TABLE[(state ^ code) & 0xff] ?? 0) ^ (state >>> 8);
  }
  return ~state >>> 0;
}
