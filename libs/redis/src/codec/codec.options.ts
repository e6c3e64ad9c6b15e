/** Options of the codec: what users write, what the engine works with, and the one way from one to the other. */
import type { ClassRegistry } from './class-registry.js';
import type { CompressionName, Serializer } from './codec.js';
import { InvalidCodecOptionsError } from './codec.errors.js';
import { requireCompression } from './compression.js';
import { createJsonSerializer } from './json.js';
import { JSON_DEFAULTS } from './json.options.js';
import { KeyRing, type EncryptionKey } from './key-ring.js';

export interface CompressionOptions {
  /** `'zstd'` needs Node 22.15 or later. */
  algorithm: CompressionName;
  /** Smaller values are not compressed. Bytes. @default 1_024 */
  threshold?: number | undefined;
}

export interface EncryptionOptions {
  /** The first key encrypts, all of them decrypt. See docs/encryption.md for how to change keys. */
  keys: readonly EncryptionKey[];
  /**
   * Refuse values in plain text. `false` is for the time of a migration: both are read, plain ones are counted
   * and marked for re-encryption. @default true
   */
  required?: boolean | undefined;
}

export interface CodecOptions {
  /** `'json'`, or a serializer of your own or from `loadMsgpackSerializer()`. @default 'json' */
  serializer?: 'json' | Serializer | undefined;
  /** Classes whose instances come back as instances (JSON). @default none */
  classes?: ClassRegistry | undefined;
  /** How deep a value may nest, when writing and when reading (JSON). @default 100 */
  maxDepth?: number | undefined;
  /** Size of a serialised value in bytes, before compression, when writing and when reading. @default 1_048_576 */
  maxBytes?: number | undefined;
  /** Properties named `__proto__`: kept as own properties, or refused (JSON). @default 'keep' */
  protoKeys?: 'keep' | 'refuse' | undefined;
  /** @default false */
  compression?: CompressionOptions | false | undefined;
  /** @default false */
  encryption?: EncryptionOptions | false | undefined;
}

export interface ResolvedCodec {
  readonly serializer: Serializer;
  readonly maxBytes: number;
  readonly compression: { readonly algorithm: CompressionName; readonly threshold: number } | false;
  /** Holds the ring and no secret: safe to print. */
  readonly encryption: { readonly ring: KeyRing; readonly required: boolean } | false;
}

export const CODEC_DEFAULTS = {
  serializer: 'json',
  maxDepth: JSON_DEFAULTS.maxDepth,
  maxBytes: JSON_DEFAULTS.maxBytes,
  protoKeys: JSON_DEFAULTS.protoKeys,
  compression: false,
  compressionThreshold: 1_024,
  encryption: false,
  encryptionRequired: true,
} as const;

const ALGORITHMS: readonly unknown[] = ['gzip', 'brotli', 'zstd'];

export function resolveCodec(options: CodecOptions = {}): ResolvedCodec {
  const maxBytes = options.maxBytes ?? CODEC_DEFAULTS.maxBytes;
  const serializer = resolveSerializer(options);
  const encryption = resolveEncryption(options.encryption ?? CODEC_DEFAULTS.encryption);
  if (serializer.authenticatedOnly === true && (encryption === false || !encryption.required)) {
    throw new InvalidCodecOptionsError(
      `serializer: '${serializer.name}' may only read values whose author is proven`,
      { hint: 'turn on encryption with required: true, or use the json serializer (docs/codec.md)' },
    );
  }
  return {
    serializer,
    maxBytes,
    compression: resolveCompression(options.compression ?? CODEC_DEFAULTS.compression),
    encryption,
  };
}

function resolveSerializer(options: CodecOptions): Serializer {
  const given = options.serializer ?? CODEC_DEFAULTS.serializer;
  const { classes, maxDepth, maxBytes, protoKeys } = options;
  // Made in any case: it validates the limits.
  const json = createJsonSerializer({ classes, maxDepth, maxBytes, protoKeys });
  if (given === 'json') return json;
  const valid =
    typeof given === 'object' &&
    typeof given.serialize === 'function' &&
    typeof given.deserialize === 'function';
  if (!valid)
    throw new InvalidCodecOptionsError(`serializer: ${shown(given)} is neither 'json' nor a Serializer`);
  if (!Number.isInteger(given.id) || given.id < 1 || given.id > 255) {
    throw new InvalidCodecOptionsError(
      `serializer.id: ${shown(given.id)} is not a whole number from 1 to 255`,
      {
        hint: '1 is json, 2 msgpackr; take one from 128 to 255 for your own',
      },
    );
  }
  return given;
}

function resolveCompression(options: CompressionOptions | false): ResolvedCodec['compression'] {
  if (options === false) return false;
  const { algorithm } = options;
  if (!ALGORITHMS.includes(algorithm)) {
    throw new InvalidCodecOptionsError(`compression.algorithm: ${shown(algorithm)} is not known`, {
      hint: "write 'brotli', 'gzip' or 'zstd'",
    });
  }
  requireCompression(algorithm);
  const threshold = options.threshold ?? CODEC_DEFAULTS.compressionThreshold;
  if (!Number.isSafeInteger(threshold) || threshold < 0) {
    throw new InvalidCodecOptionsError(`compression.threshold: ${shown(threshold)} is not a number of bytes`);
  }
  return { algorithm, threshold };
}

function resolveEncryption(options: EncryptionOptions | false): ResolvedCodec['encryption'] {
  if (options === false) return false;
  const keys: unknown = options.keys;
  if (!Array.isArray(keys))
    throw new InvalidCodecOptionsError('encryption.keys: it is not a list of { id, secret }');
  return {
    ring: new KeyRing(options.keys),
    required: options.required ?? CODEC_DEFAULTS.encryptionRequired,
  };
}

/** A value of an option in a message: short, and never the content of an object. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 40)}'`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
