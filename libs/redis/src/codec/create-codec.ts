/**
 * The pipeline: serialise, compress, then checksum or encrypt; and back in the opposite order, where each step
 * runs only after the one before has vouched for its input: authenticate, decompress (capped), parse (capped).
 */
import { systemClock, type Clock } from '../core/index.js';
import type {
  Codec,
  CodecStats,
  DecodeContext,
  Decoded,
  EncodeContext,
  Entry,
  MissReason,
  Peek,
  Miss,
  Serializer,
} from './codec.js';
import { CHECKSUM_BYTES, hasValidChecksum, writeChecksum } from './checksum.js';
import { UnserializableValueError } from './codec.errors.js';
import { resolveCodec, type CodecOptions, type ResolvedCodec } from './codec.options.js';
import { pack, unpack } from './compression.js';
import { NoncePool, SEAL_BYTES } from './encryption.js';
import {
  additionalData,
  HEADER_BYTES,
  KEY_ID_BYTES,
  MOST_TAG_BYTES,
  readEntry,
  readFlags,
  readTags,
  resolveEntry,
  schemaOf,
  SEALED_HEADER_BYTES,
  tagBytes,
  writeHeader,
  writeTags,
  type EnvelopeFlags,
} from './envelope.js';
import type { RingCipher } from './key-ring.js';

/** An envelope whose author and key are proven; the body, still compressed, is `source` from `start` to `end`. */
interface Opened {
  readonly ok: true;
  readonly envelope: Buffer;
  readonly flags: EnvelopeFlags;
  readonly source: Buffer;
  readonly start: number;
  readonly end: number;
  readonly needsReencryption: boolean;
}

/** A body on its way out: the bytes in a frame that has room for the header before and the checksum after. */
interface Frame {
  readonly bytes: Buffer;
  readonly compression: Peek['compression'];
}

const NO_TAGS: readonly string[] = Object.freeze([]);

const MOST_OVERHEAD = MOST_TAG_BYTES + SEALED_HEADER_BYTES + SEAL_BYTES;

function tooLarge(maxBytes: number): UnserializableValueError {
  return new UnserializableValueError(`the value takes more than ${maxBytes} bytes`, {
    hint: 'store less under one key, or raise maxBytes',
    details: { maxBytes },
  });
}

function bodyOf(frame: Buffer): Buffer {
  return frame.subarray(HEADER_BYTES, frame.length - CHECKSUM_BYTES);
}

function framed(body: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length + CHECKSUM_BYTES);
  body.copy(frame, HEADER_BYTES);
  return frame;
}

function sealedParts(bytes: Buffer): { signed: Buffer; nonce: Buffer } {
  const nonceAt = HEADER_BYTES + KEY_ID_BYTES;
  return { signed: bytes.subarray(0, nonceAt), nonce: bytes.subarray(nonceAt, SEALED_HEADER_BYTES) };
}

class EnvelopeCodec implements Codec {
  readonly #options: ResolvedCodec;
  readonly #serializer: Serializer;
  readonly #clock: Clock;
  readonly #nonces = new NoncePool();
  readonly #decodedByKey = new Map<string, number>();
  readonly #misses = new Map<MissReason, number>();
  #decodedPlaintext = 0;

  constructor(options: ResolvedCodec, clock: Clock) {
    this.#options = options;
    this.#serializer = options.serializer;
    this.#clock = clock;
  }

  encode(value: unknown, context: EncodeContext): Buffer | Promise<Buffer> {
    const entry = resolveEntry(context.entry, this.#clock.wallNow());
    const frame = this.#frame(value, entry);
    const { compression } = this.#options;
    const body = bodyOf(frame);
    if (compression === false || body.length < compression.threshold) {
      return this.#finish({ bytes: frame, compression: 'none' }, entry, context);
    }
    const finish = (packed: Buffer | undefined): Buffer =>
      packed === undefined
        ? this.#finish({ bytes: frame, compression: 'none' }, entry, context)
        : this.#finish({ bytes: framed(packed), compression: compression.algorithm }, entry, context);
    const packed = pack(body, compression.algorithm);
    return packed instanceof Promise ? packed.then(finish) : finish(packed);
  }

  decode(bytes: Buffer, context: DecodeContext): Decoded | Promise<Decoded> {
    const opened = this.#open(bytes, context);
    if (!opened.ok) return opened;
    const { compression } = opened.flags;
    if (compression === 'none') return this.#read(opened);
    const packed = opened.source.subarray(opened.start, opened.end);
    const unpacked = unpack(packed, compression, this.#options.maxBytes + MOST_TAG_BYTES);
    const read = (result: Awaited<typeof unpacked>): Decoded => {
      if (!result.ok) return this.#miss(result.reason);
      return this.#read({ ...opened, source: result.bytes, start: 0, end: result.bytes.length });
    };
    return unpacked instanceof Promise ? unpacked.then(read) : read(unpacked);
  }

  peek(bytes: Buffer): Peek | Miss {
    const read = readFlags(bytes);
    if (!read.ok) return read;
    const { flags } = read;
    const ring = this.#options.encryption === false ? undefined : this.#options.encryption.ring;
    return {
      ok: true,
      version: bytes[1] ?? 0,
      header: readEntry(bytes, flags.negative, []),
      encrypted: flags.encrypted,
      compression: flags.compression,
      serializer: read.serializer,
      keyId: flags.encrypted ? ring?.idOf(bytes.readUInt32BE(HEADER_BYTES)) : undefined,
    };
  }

  stats(): CodecStats {
    return {
      decodedByKey: Object.fromEntries(this.#decodedByKey),
      decodedPlaintext: this.#decodedPlaintext,
      misses: Object.fromEntries(this.#misses),
    };
  }

  /** One allocation for the whole envelope: most values are never copied again. */
  #frame(value: unknown, entry: Entry): Buffer {
    const payload = entry.negative ? '' : this.#serializer.serialize(value);
    const length = Buffer.byteLength(payload);
    const { maxBytes } = this.#options;
    if (length > maxBytes) throw tooLarge(maxBytes);
    const frame = Buffer.allocUnsafe(HEADER_BYTES + tagBytes(entry.tags) + length + CHECKSUM_BYTES);
    const at = writeTags(frame, HEADER_BYTES, entry.tags);
    if (typeof payload === 'string') frame.write(payload, at);
    else payload.copy(frame, at);
    return frame;
  }

  #finish(frame: Frame, entry: Entry, context: EncodeContext): Buffer {
    const { encryption } = this.#options;
    const { bytes } = frame;
    writeHeader(bytes, {
      encrypted: encryption !== false,
      compression: frame.compression,
      negative: entry.negative,
      tagged: entry.tags.length > 0,
      serializer: this.#serializer.id,
      entry,
    });
    if (encryption !== false) return this.#seal(bytes, encryption.ring.current(context.namespace), context);
    writeChecksum(bytes, context);
    return bytes;
  }

  #seal(frame: Buffer, key: RingCipher, context: EncodeContext): Buffer {
    const header = Buffer.allocUnsafe(SEALED_HEADER_BYTES);
    frame.copy(header, 0, 0, HEADER_BYTES);
    header.writeUInt32BE(key.wireId, HEADER_BYTES);
    this.#nonces.writeTo(header, HEADER_BYTES + KEY_ID_BYTES);
    const { signed, nonce } = sealedParts(header);
    return Buffer.concat([header, key.cipher.seal(nonce, bodyOf(frame), additionalData(signed, context))]);
  }

  #open(bytes: Buffer, context: DecodeContext): Opened | Miss {
    const read = readFlags(bytes);
    if (!read.ok) return this.#miss(read.reason);
    if (bytes.length > this.#options.maxBytes + MOST_OVERHEAD) return this.#miss('too-large');
    const opened = read.flags.encrypted
      ? this.#unseal(bytes, read.flags, context)
      : this.#verify(bytes, read.flags, context);
    if (!opened.ok) return opened;
    if (read.serializer !== this.#serializer.id) return this.#miss('unknown-serializer');
    if (context.schema !== undefined && context.schema !== schemaOf(bytes)) return this.#miss('other-schema');
    return opened;
  }

  #verify(envelope: Buffer, flags: EnvelopeFlags, context: DecodeContext): Opened | Miss {
    const { encryption } = this.#options;
    if (encryption !== false && encryption.required) return this.#miss('plaintext-refused');
    if (!hasValidChecksum(envelope, context)) return this.#miss('checksum');
    const end = envelope.length - CHECKSUM_BYTES;
    const needsReencryption = encryption !== false;
    if (needsReencryption) this.#decodedPlaintext += 1;
    return { ok: true, envelope, flags, source: envelope, start: HEADER_BYTES, end, needsReencryption };
  }

  #unseal(envelope: Buffer, flags: EnvelopeFlags, context: DecodeContext): Opened | Miss {
    const { encryption } = this.#options;
    if (envelope.length < SEALED_HEADER_BYTES + SEAL_BYTES) return this.#miss('truncated');
    if (encryption === false) return this.#miss('unknown-key');
    const key = encryption.ring.find(envelope.readUInt32BE(HEADER_BYTES), context.namespace);
    if (key === undefined) return this.#miss('unknown-key');
    const { signed, nonce } = sealedParts(envelope);
    const sealed = envelope.subarray(SEALED_HEADER_BYTES);
    const source = key.cipher.open(nonce, sealed, additionalData(signed, context));
    if (source === undefined) return this.#miss('forged');
    this.#decodedByKey.set(key.id, (this.#decodedByKey.get(key.id) ?? 0) + 1);
    return {
      ok: true,
      envelope,
      flags,
      source,
      start: 0,
      end: source.length,
      needsReencryption: !key.current,
    };
  }

  #read(opened: Opened): Decoded {
    const { flags, source, end, needsReencryption } = opened;
    const section = flags.tagged ? readTags(source, opened.start, end) : undefined;
    if (flags.tagged && section === undefined) return this.#miss('corrupt');
    const start = section?.end ?? opened.start;
    if (end - start > this.#options.maxBytes) return this.#miss('too-large');
    const entry = readEntry(opened.envelope, flags.negative, section?.tags ?? NO_TAGS);
    if (flags.negative) return { ok: true, value: undefined, entry, needsReencryption };
    try {
      return { ok: true, value: this.#deserialize(source, start, end), entry, needsReencryption };
    } catch {
      return this.#miss('unreadable');
    }
  }

  #deserialize(source: Buffer, start: number, end: number): unknown {
    const serializer = this.#serializer;
    if (serializer.parse !== undefined) return serializer.parse(source.toString('utf8', start, end));
    return serializer.deserialize(source.subarray(start, end));
  }

  #miss(reason: MissReason): Miss {
    this.#misses.set(reason, (this.#misses.get(reason) ?? 0) + 1);
    return { ok: false, reason };
  }
}

/**
 * @example
 * const codec = createCodec({ compression: { algorithm: 'brotli' } });
 * const bytes = await codec.encode(book, { namespace: 'shop', key: 'shop:v1:cache:books:{42}' });
 */
export function createCodec(options: CodecOptions = {}, clock: Clock = systemClock): Codec {
  return new EnvelopeCodec(resolveCodec(options), clock);
}
