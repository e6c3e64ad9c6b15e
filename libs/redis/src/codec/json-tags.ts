/**
 * How a value that JSON does not know is written: an object with one key that begins with `$:`, for example
 * `{"$:Date":"2026-11-20T10:00:00.000Z"}`. A user's own object of that shape gets one more `$:` in front of its
 * key, so that it comes back as it was.
 */
import { endianness } from 'node:os';

/**
 * Text without these two characters holds no tag, and `JSON.parse` alone is the whole decoding. They are looked
 * for without the quote before them: a search that begins with `"` stops at every string of the text.
 */
export const TAG = '$:';

/** Parsing decimal digits is worse than linear: 4,096 digits (13,600 bits) keep a hostile text harmless. */
export const LONGEST_BIGINT = 4_096;

/** Brackets a tag adds around what it holds, to count the same depth when writing and when reading. */
export const TAG_DEPTH = { scalar: 1, list: 2 } as const;

interface TypedArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer): NodeJS.TypedArray;
}

const TYPED_ARRAYS: ReadonlyMap<unknown, TypedArrayConstructor> = new Map<unknown, TypedArrayConstructor>(
  [
    Uint8Array,
    Uint8ClampedArray,
    Int8Array,
    Uint16Array,
    Int16Array,
    Uint32Array,
    Int32Array,
    Float32Array,
    Float64Array,
    BigUint64Array,
    BigInt64Array,
  ].map((type) => [type.name, type]),
);

const BIG_ENDIAN = endianness() === 'BE';

export function isTagKey(key: string): boolean {
  return key.startsWith(TAG);
}

export function tagged(name: string, data: unknown): Record<string, unknown> {
  return { [TAG + name]: data };
}

/**
 * `Buffer` or the typed array's own name, and its bytes in base64, little-endian on every machine. Undefined for
 * a type that a reader on another version of Node may not have, such as Float16Array.
 */
export function bytesToTag(view: NodeJS.TypedArray): Record<string, unknown> | undefined {
  const name = Buffer.isBuffer(view) ? 'Buffer' : view[Symbol.toStringTag];
  if (name !== 'Buffer' && !TYPED_ARRAYS.has(name)) return undefined;
  const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  return tagged(name, swapped(bytes, view.BYTES_PER_ELEMENT).toString('base64'));
}

/** The bytes a tag stands for, or undefined when the name is no byte type or the text does not fit it. */
export function bytesFromTag(name: string, text: unknown): NodeJS.TypedArray | ArrayBuffer | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, 'base64');
  // Node's base64 skips what it does not know, so the length is what proves that nothing was skipped.
  if (text.length !== Math.ceil(bytes.length / 3) * 4) return undefined;
  if (name === 'Buffer') return bytes;
  const own = new ArrayBuffer(bytes.length);
  new Uint8Array(own).set(bytes);
  if (name === 'ArrayBuffer') return own;
  const Type = TYPED_ARRAYS.get(name);
  if (Type === undefined) return undefined;
  const size = Type.BYTES_PER_ELEMENT;
  if (bytes.length % size !== 0) return undefined;
  new Uint8Array(own).set(swapped(bytes, size));
  return new Type(own);
}

/** Little-endian bytes of elements of this size; the same array where the machine is little-endian. */
export function swapped(bytes: Buffer, elementSize: number, bigEndian: boolean = BIG_ENDIAN): Buffer {
  if (!bigEndian || elementSize === 1) return bytes;
  const copy = Buffer.from(bytes);
  if (elementSize === 2) return copy.swap16();
  return elementSize === 4 ? copy.swap32() : copy.swap64();
}
