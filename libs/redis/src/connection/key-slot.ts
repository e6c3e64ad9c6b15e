/** Redis' own mapping of keys to 16,384 slots: CRC16 of the key, or of its first non-empty `{hash tag}`. */
import type { Arg } from './reply.js';

export const SLOT_COUNT = 16_384;

const NOT_ASCII = -1;

const TABLE = new Uint16Array(256);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  TABLE[byte] = crc & 0xffff;
}

/** What a byte does to the sum when another one follows it, so that two are taken in one step. */
const TABLE_OF_FIRST = TABLE.map((crc) => ((crc & 0xff) << 8) ^ (TABLE[crc >> 8] ?? 0));

export function keySlot(key: Arg): number {
  if (Buffer.isBuffer(key)) return crc16(tagOfBytes(key)) % SLOT_COUNT;
  return tagSlot(tagOfText(String(key)));
}

/** The same for text that holds no hash tag, or is one. */
export function tagSlot(tag: string): number {
  const crc = crc16OfAscii(tag);
  return (crc === NOT_ASCII ? crc16(Buffer.from(tag)) : crc) & (SLOT_COUNT - 1);
}

function tagOfText(key: string): string {
  const open = key.indexOf('{');
  if (open === -1) return key;
  const close = key.indexOf('}', open + 1);
  return close <= open + 1 ? key : key.slice(open + 1, close);
}

function tagOfBytes(key: Buffer): Buffer {
  const open = key.indexOf(0x7b);
  if (open === -1) return key;
  const close = key.indexOf(0x7d, open + 1);
  return close <= open + 1 ? key : key.subarray(open + 1, close);
}

/** Every call of a cluster or of shards comes through here, so the text is walked once and not copied. */
function crc16OfAscii(text: string): number {
  const { length } = text;
  let crc = 0;
  let seen = 0;
  let i = 0;
  for (; i + 1 < length; i += 2) {
    const first = text.charCodeAt(i);
    const second = text.charCodeAt(i + 1);
    seen |= first | second;
    crc = (TABLE_OF_FIRST[((crc >> 8) ^ first) & 0xff] ?? 0) ^ (TABLE[(crc ^ second) & 0xff] ?? 0);
  }
  if (i < length) {
    const last = text.charCodeAt(i);
    seen |= last;
    crc = step(crc, last);
  }
  return seen > 127 ? NOT_ASCII : crc;
}

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = step(crc, byte);
  return crc;
}

function step(crc: number, byte: number): number {
  return ((crc << 8) ^ (TABLE[((crc >> 8) ^ byte) & 0xff] ?? 0)) & 0xffff;
}
