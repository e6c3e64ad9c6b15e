/**
 * The ports of the codec: a serializer turns a value into bytes, a codec wraps those bytes so that they can
 * lie in a store nobody here controls. Small payloads are handled synchronously, because a promise per cache
 * hit costs more than decoding one; payloads of 64 KB and more are compressed on the thread pool.
 */

export interface Serializer {
  /** Written into every value: 1 is json, 2 msgpackr, 128 to 255 are free for serializers of your own. */
  readonly id: number;
  /** For messages. */
  readonly name: string;
  /**
   * True when hostile bytes could harm the reader, so that only values whose author is proven may be read:
   * the codec then insists on `encryption: { required: true }`. @default false
   */
  readonly authenticatedOnly?: boolean | undefined;
  /** Throws `UnserializableValueError` for what it can not keep. */
  serialize(value: unknown): Buffer | string;
  /** Throws on anything it did not write; the codec turns that into a miss. */
  deserialize(bytes: Buffer): unknown;
  /** The same for a serializer whose bytes are UTF-8 text; where it is given, it is used and spares a view. */
  parse?(text: string): unknown;
}

/** What a value is bound to: read under anything else, it is a miss. */
export interface CodecContext {
  readonly namespace: string;
  /** The full key as Redis knows it. */
  readonly key: string;
}

/** What the envelope carries beside the value. Times are wall clock milliseconds since 1970. */
export interface EntryHeader {
  readonly createdAt: number;
  /** From when on the value is stale but may be served; undefined for never. */
  readonly softExpiresAt: number | undefined;
  /** From when on the value is not served; undefined for never. */
  readonly expiresAt: number | undefined;
  /** The namespace's logical tag clock, read before the value was loaded. At most 2^53 - 1. */
  readonly clock: number;
  /** How long the loader took, in milliseconds. */
  readonly loadMs: number;
  /** The user's own version of the value's shape, 0 to 65,535. */
  readonly schema: number;
  /** Says that there is nothing: the entry has no value. */
  readonly negative: boolean;
}

export interface Entry extends EntryHeader {
  readonly tags: readonly string[];
}

export interface EncodeContext extends CodecContext {
  /** What is left out is zero, none or now. */
  readonly entry?: Partial<Entry> | undefined;
}

export interface DecodeContext extends CodecContext {
  /** Only values stored with this schema number are read; others are a miss. */
  readonly schema?: number | undefined;
}

/**
 * Why bytes are a miss. `checksum` and `forged` mean that the bytes are not this key's: a corrupt value, or a
 * reply that belongs to another question, after which a connection should not be trusted.
 */
export type MissReason =
  | 'foreign'
  | 'truncated'
  | 'unknown-version'
  | 'unknown-flags'
  | 'unknown-serializer'
  | 'unknown-compression'
  | 'unknown-key'
  | 'other-schema'
  | 'plaintext-refused'
  | 'checksum'
  | 'forged'
  | 'too-large'
  | 'corrupt'
  | 'unreadable';

export interface Miss {
  readonly ok: false;
  readonly reason: MissReason;
}

export interface Hit {
  readonly ok: true;
  /** Undefined for a negative entry. */
  readonly value: unknown;
  readonly entry: Entry;
  /** Stored under an old key, or in plain text while encryption is on: write it again when convenient. */
  readonly needsReencryption: boolean;
}

export type Decoded = Hit | Miss;

export interface Peek {
  readonly ok: true;
  readonly version: number;
  readonly header: EntryHeader;
  readonly encrypted: boolean;
  readonly compression: CompressionName | 'none';
  readonly serializer: number;
  /** The id of the key in the ring, or undefined for plain text and for keys the ring does not hold. */
  readonly keyId: string | undefined;
}

export type CompressionName = 'gzip' | 'brotli' | 'zstd';

export interface CodecStats {
  /** Values encrypted and read, by the id of their key; an old key at zero growth is dead. */
  readonly decodedByKey: Readonly<Record<string, number>>;
  /** Values read in plain text while encryption is on (`required: false`). */
  readonly decodedPlaintext: number;
  readonly misses: Readonly<Partial<Record<MissReason, number>>>;
}

export interface Codec {
  /** Throws, or rejects, with `UnserializableValueError`. */
  encode(value: unknown, context: EncodeContext): Buffer | Promise<Buffer>;
  /** Never throws and never rejects: what can not be read is a miss. */
  decode(bytes: Buffer, context: DecodeContext): Decoded | Promise<Decoded>;
  /** The header as it stands there: nothing is verified, so decide nothing on it that costs if it lies. */
  peek(bytes: Buffer): Peek | Miss;
  stats(): CodecStats;
}
