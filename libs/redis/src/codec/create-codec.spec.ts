import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inspect, isDeepStrictEqual } from 'node:util';
import * as zlib from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32OfText, writeChecksum } from './checksum.js';
import type { Codec, Decoded, Entry } from './codec.js';
import { UnserializableValueError } from './codec.errors.js';
import { createCodec } from './create-codec.js';
import { HEADER_BYTES, resolveEntry, writeHeader } from './envelope.js';

const context = { namespace: 'shop', key: 'shop:v1:cache:books:{42}' };
const oldKey = { id: '2026-01', secret: randomBytes(32) };
const newKey = { id: '2026-11', secret: randomBytes(32) };
const book = { title: 'A', at: new Date(0), pages: new Map([[1, 2n]]), text: 'lorem ipsum '.repeat(200) };

const full: Partial<Entry> = {
  createdAt: 1_790_000_000_123,
  softExpiresAt: 1_790_000_030_000,
  expiresAt: 1_790_003_600_000,
  clock: Number.MAX_SAFE_INTEGER,
  loadMs: 4_294_967_295,
  schema: 65_535,
  negative: false,
  tags: ['user:1', 'größe', ''],
};

const codecs: readonly (readonly [string, Codec])[] = [
  ['plain', createCodec()],
  ['gzip', createCodec({ compression: { algorithm: 'gzip', threshold: 0 } })],
  ['brotli', createCodec({ compression: { algorithm: 'brotli' } })],
  ['encrypted', createCodec({ encryption: { keys: [newKey] } })],
  [
    'brotli, encrypted',
    createCodec({ compression: { algorithm: 'brotli' }, encryption: { keys: [newKey] } }),
  ],
];

/** An envelope as somebody would forge it who knows the format and can compute the checksum. */
function forge(flags: { compression?: 'gzip' | 'brotli'; tagged?: boolean }, body: Buffer): Buffer {
  const envelope = Buffer.concat([Buffer.alloc(HEADER_BYTES), body, Buffer.alloc(4)]);
  writeHeader(envelope, {
    encrypted: false,
    compression: flags.compression ?? 'none',
    negative: false,
    tagged: flags.tagged ?? false,
    serializer: 1,
    entry: resolveEntry({}, 0),
  });
  writeChecksum(envelope, context);
  return envelope;
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

describe.each(codecs)('a codec that is %s', (_name, codec) => {
  it('gives back value, entry and tags', async () => {
    const bytes = await codec.encode(book, { ...context, entry: full });
    expect(await codec.decode(bytes, context)).toStrictEqual({
      ok: true,
      value: book,
      entry: full,
      needsReencryption: false,
    });
    expect(codec.peek(bytes)).toMatchObject({
      ok: true,
      version: 1,
      serializer: 1,
      header: { ...full, tags: [] },
    });
  });

  it('gives back negative entries, and what an entry is when nothing is said', async () => {
    const negative = await codec.encode(undefined, {
      ...context,
      entry: { negative: true, createdAt: 5, tags: ['t'] },
    });
    expect(await codec.decode(negative, context)).toMatchObject({
      ok: true,
      value: undefined,
      entry: { negative: true, tags: ['t'] },
    });
    const begun = Date.now();
    const decoded = await codec.decode(await codec.encode(null, context), context);
    expect(decoded).toMatchObject({
      ok: true,
      value: null,
      entry: {
        softExpiresAt: undefined,
        expiresAt: undefined,
        clock: 0,
        loadMs: 0,
        schema: 0,
        negative: false,
        tags: [],
      },
    });
    expect(decoded.ok && decoded.entry.createdAt - begun).toBeLessThan(5_000);
  });

  it('misses under another key, another namespace, and another schema', async () => {
    const bytes = await codec.encode(book, { ...context, entry: { schema: 3 } });
    for (const other of [
      { ...context, key: 'shop:v1:cache:books:{43}' },
      { ...context, key: '' },
      { namespace: 'shop2', key: context.key },
      { namespace: '', key: `shop${context.key}` },
    ]) {
      const decoded = await codec.decode(bytes, other);
      expect(decoded.ok ? 'read' : decoded.reason).toMatch(/^(checksum|forged)$/u);
    }
    expect(await codec.decode(bytes, { ...context, schema: 4 })).toStrictEqual({
      ok: false,
      reason: 'other-schema',
    });
    expect(await codec.decode(bytes, { ...context, schema: 3 })).toMatchObject({ ok: true });
  });

  it('is synchronous when small, and moves large values to the thread pool when it compresses', async () => {
    expect(codec.encode(book, context)).toBeInstanceOf(Buffer);
    const large = { text: Array.from({ length: 20_000 }, (_, index) => `row ${index}`) };
    const bytes = await codec.encode(large, context);
    expect(await codec.decode(bytes, context)).toMatchObject({ ok: true, value: large });
  });

  it('round-trips JSON values under any key, by property', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue(),
        fc.string({ unit: 'binary' }),
        fc.string(),
        async (value, key, namespace) => {
          const place = { namespace, key };
          const decoded = await codec.decode(await codec.encode(value, place), place);
          return decoded.ok && isDeepStrictEqual(decoded.value, value);
        },
      ),
      { numRuns: 300, examples: [[[-0, { '$:Date': 1 }], '', '']] },
    );
  });
});

describe('misses', () => {
  const codec = createCodec();
  const bytes = codec.encode({ a: 1 }, context) as Buffer;

  it.each<readonly [string, Buffer, string]>([
    ['nothing', Buffer.alloc(0), 'truncated'],
    ['foreign text', Buffer.from('{"a":1}'), 'foreign'],
    ['the first byte alone', Buffer.from([0xcb]), 'truncated'],
    ['another version', Buffer.concat([Buffer.from([0xcb, 2]), bytes.subarray(2)]), 'unknown-version'],
    ['unknown flags', Buffer.concat([Buffer.from([0xcb, 1, 0x80]), bytes.subarray(3)]), 'unknown-flags'],
    [
      'encrypted bytes without a ring',
      createCodec({ encryption: { keys: [newKey] } }).encode(1, context) as Buffer,
      'unknown-key',
    ],
    ['a cut value', bytes.subarray(0, -1), 'checksum'],
    ['a value that is too long', Buffer.concat([bytes, Buffer.alloc(1_200_000)]), 'too-large'],
    ['text that is no JSON', forge({}, Buffer.from('{')), 'unreadable'],
    ['tags that do not add up', forge({ tagged: true }, Buffer.from([0, 1, 0, 9, 65])), 'corrupt'],
    ['no tags where tags are said to be', forge({ tagged: true }, Buffer.from([0, 0, 49])), 'corrupt'],
    ['a half tag', forge({ tagged: true }, Buffer.from([0])), 'corrupt'],
    ['a stream that is none', forge({ compression: 'gzip' }, Buffer.from('\0\0\0\x05xxxxx')), 'corrupt'],
    ['a value over the limit', forge({}, Buffer.from(`"${'x'.repeat(1_048_600)}"`)), 'too-large'],
  ])('%s', (_name, stored, reason) => {
    expect(codec.decode(stored, context)).toStrictEqual({ ok: false, reason });
  });

  it('values over the limit are refused whatever the serializer, and read by none', async () => {
    const raw = {
      id: 200,
      name: 'raw',
      serialize: (value: unknown) => Buffer.from(String(value)),
      deserialize: String,
    };
    const small = createCodec({ serializer: raw, maxBytes: 10 });
    const large = createCodec({ serializer: raw });
    expect(await small.decode(await small.encode('0123456789', context), context)).toMatchObject({
      ok: true,
      value: '0123456789',
    });
    expect(() => small.encode('0123456789a', context)).toThrow(/more than 10 bytes/u);
    expect(await small.decode(await large.encode('0123456789a', context), context)).toStrictEqual({
      ok: false,
      reason: 'too-large',
    });
  });

  it('are counted by reason', () => {
    const counting = createCodec();
    for (const stored of ['', 'a', 'b']) void counting.decode(Buffer.from(stored), context);
    expect(counting.stats()).toStrictEqual({
      decodedByKey: {},
      decodedPlaintext: 0,
      misses: { truncated: 1, foreign: 2 },
    });
  });

  it('a bomb behind a valid checksum is a miss in less than 10 ms', async () => {
    const zeros = Buffer.alloc(20_000_000, '[');
    const claim = (length: number, stream: Buffer): Buffer => {
      const packed = Buffer.concat([Buffer.alloc(4), stream]);
      packed.writeUInt32BE(length);
      return packed;
    };
    const gzip = zlib.gzipSync(zeros);
    const brotli = zlib.brotliCompressSync(zeros, {
      params: { [zlib.constants.BROTLI_PARAM_LGWIN]: 18, [zlib.constants.BROTLI_PARAM_QUALITY]: 2 },
    });
    const bombs = [
      forge({ compression: 'gzip' }, claim(zeros.length, gzip)),
      forge({ compression: 'gzip' }, claim(1_000_000, gzip)),
      forge({ compression: 'brotli' }, claim(zeros.length, brotli)),
      forge({ compression: 'brotli' }, claim(60_000, brotli)),
      forge({}, zeros.subarray(0, 1_000_000)),
      forge({}, Buffer.from('{"$:Map":['.repeat(50_000))),
    ];
    for (const bomb of bombs) {
      expect(await codec.decode(bomb, context)).toMatchObject({ ok: false });
      expect(await fastest(() => codec.decode(bomb, context))).toBeLessThan(10);
    }
  });

  it('__proto__ behind a valid checksum reaches no prototype, and is a miss on demand', async () => {
    const stored = forge({}, Buffer.from('{"__proto__":{"admin":true}}'));
    const decoded = await codec.decode(stored, context);
    expect(decoded.ok && Object.getPrototypeOf(decoded.value)).toBe(Object.prototype);
    expect(Reflect.get({}, 'admin')).toBeUndefined();
    const strict = createCodec({ protoKeys: 'refuse' });
    expect(await strict.decode(stored, context)).toStrictEqual({ ok: false, reason: 'unreadable' });
    expect(await fastest(() => strict.decode(stored, context))).toBeLessThan(10);
  });

  it('the checksum of a key is CRC32 whichever way it is computed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 90 }), fc.nat(0xffff_ffff), (text, seed) => {
        return crc32OfText(text, seed) === zlib.crc32(text, seed);
      }),
    );
    for (const text of ['', 'a'.repeat(64), 'a'.repeat(65), 'é'])
      expect(crc32OfText(text, 7)).toBe(zlib.crc32(text, 7));
  });
});

describe('encryption', () => {
  const before = createCodec({ encryption: { keys: [oldKey] } });
  const rotated = createCodec({ encryption: { keys: [newKey, oldKey] } });
  const after = createCodec({ encryption: { keys: [newKey] } });

  it('reads old keys, says what to write again, and counts by key', async () => {
    const codec = createCodec({ encryption: { keys: [newKey, oldKey] } });
    const old = await before.encode(book, context);
    expect(await codec.decode(old, context)).toMatchObject({
      ok: true,
      value: book,
      needsReencryption: true,
    });
    const fresh = await codec.encode(book, context);
    expect(await codec.decode(fresh, context)).toMatchObject({ ok: true, needsReencryption: false });
    expect(codec.stats()).toMatchObject({
      decodedByKey: { '2026-01': 1, '2026-11': 1 },
      decodedPlaintext: 0,
    });
    expect(codec.peek(old)).toMatchObject({ encrypted: true, keyId: '2026-01' });
  });

  it('misses under a key that is not in the ring, and never tries another', async () => {
    expect(await after.decode(await before.encode(book, context), context)).toStrictEqual({
      ok: false,
      reason: 'unknown-key',
    });
    const renamed = Buffer.from(await before.encode(book, context));
    (await rotated.encode(book, context)).copy(renamed, HEADER_BYTES, HEADER_BYTES, HEADER_BYTES + 4);
    expect(await rotated.decode(renamed, context)).toStrictEqual({ ok: false, reason: 'forged' });
    const sameId = createCodec({ encryption: { keys: [{ id: oldKey.id, secret: newKey.secret }] } });
    expect(await sameId.decode(await before.encode(book, context), context)).toStrictEqual({
      ok: false,
      reason: 'forged',
    });
  });

  it('refuses plain text when required, reads and counts it in a migration', async () => {
    const plain = await createCodec().encode(book, context);
    expect(await after.decode(plain, context)).toStrictEqual({ ok: false, reason: 'plaintext-refused' });
    const migrating = createCodec({ encryption: { keys: [newKey], required: false } });
    expect(await migrating.decode(plain, context)).toMatchObject({
      ok: true,
      value: book,
      needsReencryption: true,
    });
    expect(migrating.stats().decodedPlaintext).toBe(1);
    expect(migrating.peek(await migrating.encode(book, context))).toMatchObject({ encrypted: true });
  });

  it('refuses an envelope whose encryption flag was taken away', async () => {
    const stripped = Buffer.from(await after.encode({ a: 1 }, context));
    stripped[2] = (stripped[2] ?? 0) & ~1;
    writeChecksum(stripped, context);
    expect(await after.decode(stripped, context)).toStrictEqual({ ok: false, reason: 'plaintext-refused' });
  });

  it('never writes the same bytes twice, and nothing of the value in clear', async () => {
    const first = await after.encode(
      { card: 'planted-secret' },
      { ...context, entry: { tags: ['planted-tag'] } },
    );
    const second = await after.encode(
      { card: 'planted-secret' },
      { ...context, entry: { tags: ['planted-tag'] } },
    );
    expect(first.equals(second)).toBe(false);
    expect(first.toString('latin1')).not.toContain('planted');
  });
});

describe('errors', () => {
  it('never carry the value or a secret', () => {
    const codec = createCodec({ encryption: { keys: [newKey] }, maxBytes: 100 });
    const attempts: (() => unknown)[] = [
      () => codec.encode({ card: /planted-secret/u }, context),
      () => codec.encode({ card: 'planted-secret '.repeat(20) }, context),
      () => codec.encode(1, { ...context, entry: { tags: ['planted-secret'.repeat(100)] } }),
      () =>
        codec.encode(1, {
          ...context,
          entry: { tags: Array.from({ length: 2_000 }, () => 'planted-secret') },
        }),
      () => codec.encode(1, { ...context, entry: { clock: Number.NaN } }),
      () => codec.encode(1, { ...context, entry: { expiresAt: -5 } }),
    ];
    for (const attempt of attempts) {
      expect(attempt).toThrow(UnserializableValueError);
      try {
        attempt();
      } catch (error) {
        const printed = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error);
        expect(printed).not.toContain('planted');
        expect(printed).not.toContain(newKey.secret.toString('hex').slice(0, 8));
      }
    }
    expect(inspect(codec, { depth: 9, showHidden: true })).not.toContain(
      newKey.secret.toString('hex').slice(0, 8),
    );
  });
});

interface Golden {
  readonly name: string;
  readonly version: number;
  readonly bytes: string;
  readonly json: string;
  readonly entry: Record<string, unknown>;
}

describe('golden bytes', () => {
  const url = new URL('envelope.golden.json', import.meta.url);
  const { keys, namespace, key, values } = JSON.parse(readFileSync(url, 'utf8')) as {
    keys: { id: string; secret: string }[];
    namespace: string;
    key: string;
    values: Golden[];
  };
  const plain = createCodec();
  const encrypting = createCodec({ encryption: { keys } });

  it.each(values.map((golden) => [`v${golden.version} ${golden.name}`, golden] as const))(
    '%s is read for ever',
    async (_name, golden) => {
      const codec = golden.name.includes('encrypted') ? encrypting : plain;
      const bytes = Buffer.from(golden.bytes, 'hex');
      const decoded: Decoded = await codec.decode(bytes, { namespace, key });
      expect(decoded).toMatchObject({ ok: true, entry: golden.entry });
      if (!decoded.ok || decoded.entry.negative) return;
      expect(codec.peek(bytes)).toMatchObject({ version: golden.version });
      const again = await plain.encode(decoded.value, { namespace, key, entry: decoded.entry });
      expect(again.toString('utf8', HEADER_BYTES)).toContain(golden.json);
      if (golden.name.startsWith('plain')) expect(again.toString('hex')).toBe(golden.bytes);
    },
  );
});
