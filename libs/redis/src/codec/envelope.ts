/**
 * What a stored value looks like, byte by byte (docs/codec.md has the table). Fixed header, body, and at the
 * end either a checksum that the key is part of, or the tag of the encryption, whose additional data the key
 * and the header are part of.
 *
 * The layout of a version never changes: a new layout is a new version, and `envelope.golden.json` holds bytes
 * of every version that was ever released.
 */
import { CHECKSUM_BYTES } from './checksum.js';
import type { CodecContext, CompressionName, Entry, EntryHeader } from './codec.js';
import { UnserializableValueError } from './codec.errors.js';
import { compressionOf, wireOf } from './compression.js';
import { NONCE_BYTES } from './encryption.js';

const MAGIC = 0xcb;
const VERSION = 1;
export const HEADER_BYTES = 36;
export const KEY_ID_BYTES = 4;
/** Header of an encrypted value: key id and nonce stand between the header and the body. */
export const SEALED_HEADER_BYTES = HEADER_BYTES + KEY_ID_BYTES + NONCE_BYTES;

const ENCRYPTED = 0b0000_0001;
const COMPRESSION_SHIFT = 1;
const COMPRESSION = 0b0000_0110;
const NEGATIVE = 0b0000_1000;
const TAGGED = 0b0001_0000;
const UNKNOWN_FLAGS = 0b1110_0000;

const MAX_U48 = 2 ** 48 - 1;
const MAX_U32 = 2 ** 32 - 1;
const MAX_U16 = 2 ** 16 - 1;

const MOST_TAGS = 1_024;
const LONGEST_TAG = 1_024;
/** Room that tags may take beside the value. */
export const MOST_TAG_BYTES = 65_536;

export interface EnvelopeFlags {
  readonly encrypted: boolean;
  readonly compression: CompressionName | 'none';
  readonly negative: boolean;
  readonly tagged: boolean;
}

export interface HeaderFields extends EnvelopeFlags {
  readonly serializer: number;
  readonly entry: EntryHeader;
}

/** Writes the header into the first {@link HEADER_BYTES} of `target`. */
export function writeHeader(target: Buffer, fields: HeaderFields): void {
  const { entry } = fields;
  target[0] = MAGIC;
  target[1] = VERSION;
  target[2] =
    (fields.encrypted ? ENCRYPTED : 0) |
    (wireOf(fields.compression) << COMPRESSION_SHIFT) |
    (fields.negative ? NEGATIVE : 0) |
    (fields.tagged ? TAGGED : 0);
  target[3] = fields.serializer;
  target.writeUInt16BE(entry.schema, 4);
  target.writeUIntBE(entry.createdAt, 6, 6);
  target.writeUIntBE(entry.softExpiresAt ?? 0, 12, 6);
  target.writeUIntBE(entry.expiresAt ?? 0, 18, 6);
  target.writeUInt32BE(Math.floor(entry.clock / 2 ** 32), 24);
  target.writeUInt32BE(entry.clock % 2 ** 32, 28);
  target.writeUInt32BE(entry.loadMs, 32);
}

export type FlagsOrMiss =
  | { readonly ok: true; readonly flags: EnvelopeFlags; readonly serializer: number }
  | { readonly ok: false; readonly reason: 'foreign' | 'truncated' | 'unknown-version' | 'unknown-flags' };

/** The first four bytes: enough to know how to verify the rest. */
export function readFlags(bytes: Buffer): FlagsOrMiss {
  if (bytes[0] !== MAGIC) return { ok: false, reason: bytes.length === 0 ? 'truncated' : 'foreign' };
  if (bytes.length > 1 && bytes[1] !== VERSION) return { ok: false, reason: 'unknown-version' };
  if (bytes.length < HEADER_BYTES + CHECKSUM_BYTES) return { ok: false, reason: 'truncated' };
  const bits = bytes[2] ?? 0;
  if ((bits & UNKNOWN_FLAGS) !== 0) return { ok: false, reason: 'unknown-flags' };
  const flags: EnvelopeFlags = {
    encrypted: (bits & ENCRYPTED) !== 0,
    compression: compressionOf((bits & COMPRESSION) >> COMPRESSION_SHIFT),
    negative: (bits & NEGATIVE) !== 0,
    tagged: (bits & TAGGED) !== 0,
  };
  return { ok: true, flags, serializer: bytes[3] ?? 0 };
}

/** The header's fields with the tags of the body; spelt out, because spreading an object costs more than reading it. */
export function readEntry(bytes: Buffer, negative: boolean, tags: readonly string[]): Entry {
  return {
    createdAt: bytes.readUIntBE(6, 6),
    softExpiresAt: bytes.readUIntBE(12, 6) || undefined,
    expiresAt: bytes.readUIntBE(18, 6) || undefined,
    clock: bytes.readUInt32BE(24) * 2 ** 32 + bytes.readUInt32BE(28),
    loadMs: bytes.readUInt32BE(32),
    schema: schemaOf(bytes),
    negative,
    tags,
  };
}

export function schemaOf(bytes: Buffer): number {
  return bytes.readUInt16BE(4);
}

/** Fills in what the caller left out, and refuses numbers that the header has no room for. */
export function resolveEntry(given: Partial<Entry> | undefined, now: number): Entry {
  return {
    createdAt: whole('createdAt', given?.createdAt ?? now, MAX_U48),
    softExpiresAt: instant('softExpiresAt', given?.softExpiresAt),
    expiresAt: instant('expiresAt', given?.expiresAt),
    clock: whole('clock', given?.clock ?? 0, Number.MAX_SAFE_INTEGER),
    loadMs: whole('loadMs', Math.min(given?.loadMs ?? 0, MAX_U32), MAX_U32),
    schema: whole('schema', given?.schema ?? 0, MAX_U16),
    negative: given?.negative ?? false,
    tags: given?.tags ?? [],
  };
}

function instant(name: string, value: number | undefined): number | undefined {
  // Zero means "never" in the header, and an expiry in 1970 means "long gone": one millisecond later says that.
  return value === undefined ? undefined : Math.max(1, whole(name, value, MAX_U48));
}

function whole(name: string, value: number, most: number): number {
  const rounded = Math.round(value);
  if (rounded >= 0 && rounded <= most) return rounded;
  throw new UnserializableValueError(`entry.${name}: ${String(value)} is not a number from 0 to ${most}`);
}

/** Bytes the tags take in the body; throws when they do not fit. */
export function tagBytes(tags: readonly string[]): number {
  if (tags.length === 0) return 0;
  let total = 2;
  for (const tag of tags) {
    const length = Buffer.byteLength(tag);
    if (length > LONGEST_TAG) {
      throw new UnserializableValueError(`entry.tags: a tag is longer than ${LONGEST_TAG} bytes`);
    }
    total += 2 + length;
  }
  if (tags.length > MOST_TAGS || total > MOST_TAG_BYTES) {
    throw new UnserializableValueError(`entry.tags: ${tags.length} tags of ${total} bytes are too many`, {
      hint: `at most ${MOST_TAGS} tags and ${MOST_TAG_BYTES} bytes of them belong to one entry`,
    });
  }
  return total;
}

/** Writes the tags and returns where the value begins. */
export function writeTags(target: Buffer, offset: number, tags: readonly string[]): number {
  if (tags.length === 0) return offset;
  let at = target.writeUInt16BE(tags.length, offset);
  for (const tag of tags) {
    const length = target.write(tag, at + 2);
    target.writeUInt16BE(length, at);
    at += 2 + length;
  }
  return at;
}

export interface TagSection {
  readonly tags: readonly string[];
  /** Where the value begins. */
  readonly end: number;
}

/** The tags at the start of a verified body, or undefined when they do not add up. */
export function readTags(body: Buffer, start: number, limit: number): TagSection | undefined {
  if (start + 2 > limit) return undefined;
  const count = body.readUInt16BE(start);
  if (count === 0 || count > MOST_TAGS) return undefined;
  const tags: string[] = [];
  let at = start + 2;
  for (let index = 0; index < count; index += 1) {
    if (at + 2 > limit) return undefined;
    const end = at + 2 + body.readUInt16BE(at);
    if (end > limit) return undefined;
    tags.push(body.toString('utf8', at + 2, end));
    at = end;
  }
  return { tags, end: at };
}

/** What the encryption authenticates beside the body: header with key id, namespace, key, each with its length. */
export function additionalData(header: Buffer, context: CodecContext): Buffer {
  const parts = [header, Buffer.from(context.namespace), Buffer.from(context.key)];
  const data = Buffer.allocUnsafe(parts.reduce((total, part) => total + 4 + part.length, 0));
  let at = 0;
  for (const part of parts) {
    at = data.writeUInt32BE(part.length, at);
    at += part.copy(data, at);
  }
  return data;
}
