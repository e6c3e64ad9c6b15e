/**
 * Compression at the fastest level of each algorithm. A packed body starts with the length of what it unpacks
 * to, so a reader knows before the first byte whether to do it at all, whether on the thread pool, and when to
 * stop: a bomb is refused by its own claim, and one that lies is cut off at what it claimed.
 */
import * as zlib from 'node:zlib';
import type { CompressionName, MissReason } from './codec.js';
import { InvalidCodecOptionsError } from './codec.errors.js';

type Transform = (bytes: Buffer, options: object) => Buffer;
type Callback = (error: Error | null, result: Buffer) => void;
type AsyncTransform = (bytes: Buffer, options: object, callback: Callback) => void;

interface Algorithm {
  /** Its number in the envelope: never changes, never is reused. */
  readonly wire: 1 | 2 | 3;
  readonly packOptions: object;
  readonly packSync: Transform;
  readonly pack: AsyncTransform;
  readonly unpackSync: Transform;
  readonly unpack: AsyncTransform;
}

export type Unpacked =
  { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly reason: MissReason };

/** From this size on the work goes to the thread pool: below it, a hand-over costs more than it frees. */
export const THREAD_POOL_BYTES = 65_536;

/** A packed body has to be smaller by this much, or the CPU time of every reader buys nothing. */
const WORTH = 0.9;

/** Nothing is written, and nothing read, that unpacks to more than this many times its size. */
export const LARGEST_RATIO = 1_000;

const LENGTH_BYTES = 4;

const GZIP: Algorithm = {
  wire: 1,
  packOptions: { level: 1 },
  packSync: zlib.gzipSync,
  pack: zlib.gzip,
  unpackSync: zlib.gunzipSync,
  unpack: zlib.gunzip,
};

/**
 * A brotli reader fills its whole window before it gives out the first byte, so a limit on the output alone
 * lets a bomb work for a window of 4 MB. This is the smallest window that quality 1 can be told to use.
 */
const BROTLI_WINDOW_BITS = 18;

const BROTLI: Algorithm = {
  wire: 2,
  packOptions: {
    params: {
      [zlib.constants.BROTLI_PARAM_QUALITY]: 1,
      [zlib.constants.BROTLI_PARAM_LGWIN]: BROTLI_WINDOW_BITS,
    },
  },
  packSync: zlib.brotliCompressSync,
  pack: zlib.brotliCompress,
  unpackSync: zlib.brotliDecompressSync,
  unpack: zlib.brotliDecompress,
};

/** `ZSTD_c_compressionLevel`, which the constants of older versions of Node do not name. */
const ZSTD_LEVEL = 100;

const ALGORITHMS: Readonly<Record<CompressionName, Algorithm | undefined>> = {
  gzip: GZIP,
  brotli: BROTLI,
  zstd: zstdOf(zlib),
};

const BY_WIRE: readonly (CompressionName | 'none')[] = ['none', 'gzip', 'brotli', 'zstd'];

export function compressionOf(wire: number): CompressionName | 'none' {
  return BY_WIRE[wire] ?? 'none';
}

export function wireOf(name: CompressionName | 'none'): number {
  return BY_WIRE.indexOf(name);
}

/** zstd came to `node:zlib` with Node 22.15 and 23.8; the types of older versions do not know it. */
export function zstdOf(library: object): Algorithm | undefined {
  const found = (name: string): unknown => Reflect.get(library, name);
  if (typeof found('zstdCompressSync') !== 'function') return undefined;
  return {
    wire: 3,
    packOptions: { params: { [ZSTD_LEVEL]: 1 } },
    packSync: found('zstdCompressSync') as Transform,
    pack: found('zstdCompress') as AsyncTransform,
    unpackSync: found('zstdDecompressSync') as Transform,
    unpack: found('zstdDecompress') as AsyncTransform,
  };
}

/** Throws when the running Node can not do it. */
export function requireCompression(name: CompressionName): void {
  if (ALGORITHMS[name] !== undefined) return;
  throw new InvalidCodecOptionsError(`compression: '${name}' is not in Node ${process.versions.node}`, {
    hint: "use 'brotli' or 'gzip', or run Node 22.15 or later",
  });
}

/** The packed body, or undefined when packing does not pay; a promise from {@link THREAD_POOL_BYTES} on. */
export function pack(body: Buffer, name: CompressionName): Buffer | undefined | Promise<Buffer | undefined> {
  const algorithm = ALGORITHMS[name];
  if (algorithm === undefined) return undefined;
  if (body.length < THREAD_POOL_BYTES) {
    return framed(body, algorithm.packSync(body, algorithm.packOptions));
  }
  return inThreadPool(algorithm.pack, body, algorithm.packOptions).then((packed) => framed(body, packed));
}

/** The body again, at most `maxBytes` of it; a promise when it is large. */
export function unpack(
  packed: Buffer,
  name: CompressionName,
  maxBytes: number,
): Unpacked | Promise<Unpacked> {
  const algorithm = ALGORITHMS[name];
  if (algorithm === undefined) return miss('unknown-compression');
  if (packed.length <= LENGTH_BYTES) return miss('truncated');
  const length = packed.readUInt32BE(0);
  const stream = packed.subarray(LENGTH_BYTES);
  if (length > maxBytes || length > stream.length * LARGEST_RATIO) return miss('too-large');
  if (name === 'brotli' && brotliWindowBits(stream) > BROTLI_WINDOW_BITS) return miss('too-large');
  const options = { maxOutputLength: Math.max(length, 1), chunkSize: chunkFor(length) };
  if (length >= THREAD_POOL_BYTES) {
    return inThreadPool(algorithm.unpack, stream, options).then(
      (bytes) => checked(bytes, length),
      () => miss('corrupt'),
    );
  }
  try {
    return checked(algorithm.unpackSync(stream, options), length);
  } catch {
    return miss('corrupt');
  }
}

function framed(body: Buffer, packed: Buffer): Buffer | undefined {
  if (packed.length + LENGTH_BYTES > body.length * WORTH) return undefined;
  if (body.length > packed.length * LARGEST_RATIO) return undefined;
  const length = Buffer.allocUnsafe(LENGTH_BYTES);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, packed]);
}

function checked(bytes: Buffer, length: number): Unpacked {
  return bytes.length === length ? { ok: true, bytes } : miss('corrupt');
}

function miss(reason: MissReason): Unpacked {
  return { ok: false, reason };
}

/** The window a brotli stream asks for: RFC 7932, section 9.1. */
export function brotliWindowBits(stream: Buffer): number {
  const first = stream[0] ?? 0;
  if ((first & 1) === 0) return 16;
  const high = (first >> 1) & 7;
  if (high !== 0) return 17 + high;
  const low = (first >> 4) & 7;
  // 1 stands for the "large window" extension, which is not brotli by the RFC.
  if (low === 1) return Number.POSITIVE_INFINITY;
  return low === 0 ? 17 : 8 + low;
}

/** One chunk for a small body, so that it is not put together from pieces; Node's smallest is 64. */
function chunkFor(length: number): number {
  return Math.min(Math.max(length, 64), THREAD_POOL_BYTES);
}

function inThreadPool(transform: AsyncTransform, bytes: Buffer, options: object): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    transform(bytes, options, (error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}
