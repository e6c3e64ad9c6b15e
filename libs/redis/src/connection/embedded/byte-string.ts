/**
 * Bytes as the embedded keyspace holds them: a JavaScript string with one character per byte (latin1).
 *
 * Why not Buffers: such a string is immutable, so nothing handed out can change what is stored and nothing
 * has to be copied against that; it is compared byte by byte by `<`, as Redis does; it can be the key of a
 * Map; and it does not pin a slab of Node's shared Buffer pool, which would make the memory limit a fiction.
 */
import type { Arg } from '../redis-client.js';

declare const bytesBrand: unique symbol;

/** One character per byte. The brand keeps it from being mixed up with text. */
export type Bytes = string & { readonly [bytesBrand]: true };

export function toBytes(arg: Arg): Bytes {
  if (typeof arg === 'string') return textToBytes(arg);
  return branded(typeof arg === 'number' ? String(arg) : arg.toString('latin1'));
}

/** For text known to be ASCII: literals and decimal numbers. */
export function asciiBytes(text: string | number | bigint): Bytes {
  return branded(String(text));
}

/** UTF-8 decoded; malformed sequences become U+FFFD, as in every Redis client. */
export function bytesToText(bytes: Bytes): string {
  return isAscii(bytes) ? bytes : bytesToBuffer(bytes).toString('utf8');
}

export function bytesToBuffer(bytes: Bytes): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** A rope in V8, so appending does not copy what is there. */
export function concatBytes(left: Bytes, right: Bytes): Bytes {
  return branded(left + right);
}

export function zeroBytes(length: number): Bytes {
  return branded('\0'.repeat(length));
}

export function sliceBytes(bytes: Bytes, start: number, end: number): Bytes {
  return branded(bytes.slice(start, end));
}

function textToBytes(text: string): Bytes {
  return branded(isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1'));
}

/** Up to this length a loop beats the call into native code. */
const SHORT = 16;

function isAscii(text: string): boolean {
  if (text.length > SHORT) return Buffer.byteLength(text, 'utf8') === text.length;
  for (let i = 0; i < text.length; i += 1) {
    if (text.charCodeAt(i) > 0x7f) return false;
  }
  return true;
}

/** The one place where a string is declared to be bytes. */
function branded(text: string): Bytes {
  return text as Bytes;
}
