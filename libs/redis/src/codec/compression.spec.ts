import { randomBytes } from 'node:crypto';
import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  brotliWindowBits,
  compressionOf,
  LARGEST_RATIO,
  pack,
  requireCompression,
  THREAD_POOL_BYTES,
  unpack,
  wireOf,
  zstdOf,
} from './compression.js';

const NAMES = ['gzip', 'brotli'] as const;
const hasZstd = zstdOf(zlib) !== undefined;

function text(bytes: number): Buffer {
  return Buffer.from(
    Array.from({ length: Math.ceil(bytes / 10) }, (_, index) => `${index * 7919}`.padStart(10, '{"a":')).join(
      '',
    ),
  );
}

function claiming(length: number, stream: Buffer): Buffer {
  const claim = Buffer.alloc(4);
  claim.writeUInt32BE(length);
  return Buffer.concat([claim, stream]);
}

async function fastest(run: () => unknown): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round += 1) {
    const begun = performance.now();
    await run();
    best = Math.min(best, performance.now() - begun);
  }
  return best;
}

const zeros = Buffer.alloc(20_000_000);
const LGWIN_18 = {
  params: { [zlib.constants.BROTLI_PARAM_LGWIN]: 18, [zlib.constants.BROTLI_PARAM_QUALITY]: 2 },
};
const bombs = { gzip: zlib.gzipSync(zeros), brotli: zlib.brotliCompressSync(zeros, LGWIN_18) };

describe.each(hasZstd ? ([...NAMES, 'zstd'] as const) : NAMES)('%s', (name) => {
  it('is synchronous below 64 KB and a promise from there on, and round-trips', async () => {
    const small = text(5_000);
    const packed = pack(small, name);
    expect(packed).toBeInstanceOf(Buffer);
    expect(unpack(packed as Buffer, name, 10_000)).toStrictEqual({ ok: true, bytes: small });
    const large = text(THREAD_POOL_BYTES);
    const promise = pack(large, name);
    expect(promise).toBeInstanceOf(Promise);
    const opened = unpack((await promise) ?? Buffer.alloc(0), name, 1_000_000);
    expect(opened).toBeInstanceOf(Promise);
    expect(await opened).toStrictEqual({ ok: true, bytes: large });
  });

  it('keeps nothing that is not at least a tenth smaller, or that no reader would unpack', async () => {
    expect(pack(randomBytes(5_000), name)).toBeUndefined();
    expect(await pack(randomBytes(100_000), name)).toBeUndefined();
    const packed = await pack(Buffer.alloc(8_000_000), name);
    if (packed !== undefined) expect((packed.length - 4) * LARGEST_RATIO).toBeGreaterThanOrEqual(8_000_000);
  });

  it('stops a bomb in less than 10 ms, whatever it claims', async () => {
    if (name === 'zstd') return;
    const bomb = bombs[name];
    for (const claim of [20_000_000, 0xffff_ffff, 8_000_000]) {
      expect(await fastest(() => unpack(claiming(claim, bomb), name, 1_000_000))).toBeLessThan(10);
      expect(await unpack(claiming(claim, bomb), name, 1_000_000)).toStrictEqual({
        ok: false,
        reason: 'too-large',
      });
    }
    for (const claim of [0, 1, 60_000, 65_536]) {
      if (claim > bomb.length * LARGEST_RATIO) continue;
      expect(await fastest(() => unpack(claiming(claim, bomb), name, 1_000_000))).toBeLessThan(10);
      expect(await unpack(claiming(claim, bomb), name, 1_000_000)).toStrictEqual({
        ok: false,
        reason: 'corrupt',
      });
    }
  });

  it('refuses a claim of more than a thousand times the size, within the limit too', () => {
    const stream = Buffer.alloc(100);
    expect(unpack(claiming(100_001, stream), name, 1_000_000)).toStrictEqual({
      ok: false,
      reason: 'too-large',
    });
  });

  it('calls bytes that unpack to less than they claim, and bytes that do not unpack, corrupt', async () => {
    if (name === 'zstd') return;
    const stream = name === 'gzip' ? zlib.gzipSync(text(500)) : zlib.brotliCompressSync(text(500), LGWIN_18);
    for (const claim of [499, 501, THREAD_POOL_BYTES]) {
      const packed = claiming(claim, stream);
      expect(await unpack(packed, name, 1_000_000)).toStrictEqual({ ok: false, reason: 'corrupt' });
    }
    expect(unpack(claiming(500, Buffer.from('no such stream')), name, 1_000)).toStrictEqual({
      ok: false,
      reason: 'corrupt',
    });
    expect(unpack(Buffer.alloc(4), name, 1_000)).toStrictEqual({ ok: false, reason: 'truncated' });
  });
});

describe('the window of a brotli stream', () => {
  it.each([10, 11, 15, 16, 17, 18, 19, 22, 24])('of %d bits is read from its first byte', (bits) => {
    const params = { [zlib.constants.BROTLI_PARAM_LGWIN]: bits, [zlib.constants.BROTLI_PARAM_QUALITY]: 2 };
    expect(brotliWindowBits(zlib.brotliCompressSync(text(2_000), { params }))).toBe(bits);
  });

  it('is refused when it is larger than any that was written here', () => {
    const stream = zlib.brotliCompressSync(Buffer.alloc(2_000_000));
    expect(unpack(claiming(60_000, stream), 'brotli', 1_000_000)).toStrictEqual({
      ok: false,
      reason: 'too-large',
    });
    expect(brotliWindowBits(Buffer.from([0b0001_0001]))).toBe(Number.POSITIVE_INFINITY);
    expect(brotliWindowBits((pack(text(5_000), 'brotli') as Buffer).subarray(4))).toBe(18);
  });
});

describe('algorithms', () => {
  it('have numbers that never change', () => {
    expect(['none', 'gzip', 'brotli', 'zstd'].map((_, wire) => compressionOf(wire))).toStrictEqual([
      'none',
      'gzip',
      'brotli',
      'zstd',
    ]);
    expect(wireOf('zstd')).toBe(3);
  });

  it('find zstd where Node has it, and say what to do where it has not', () => {
    expect(zstdOf({})).toBeUndefined();
    const fake = (): void => {};
    const library = {
      zstdCompressSync: fake,
      zstdCompress: fake,
      zstdDecompressSync: fake,
      zstdDecompress: fake,
    };
    expect(zstdOf(library)).toMatchObject({ wire: 3, packSync: fake, unpack: fake });
    if (hasZstd) expect(() => requireCompression('zstd')).not.toThrow();
    else {
      expect(() => requireCompression('zstd')).toThrow(/'zstd' is not in Node/u);
      expect(unpack(claiming(5, Buffer.from('abcdef')), 'zstd', 100)).toStrictEqual({
        ok: false,
        reason: 'unknown-compression',
      });
      expect(pack(text(5_000), 'zstd')).toBeUndefined();
    }
  });
});
