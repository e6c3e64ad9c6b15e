import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { UnserializableValueError } from './codec.errors.js';
import { createCodec } from './create-codec.js';
import { loadMsgpackSerializer } from './msgpack.js';

/** Stands in for the package: what is tested here is how it is loaded and called, not MessagePack. */
class JsonPackr {
  pack(value: unknown): Buffer {
    if (value === 'unstorable') throw new Error('planted-secret');
    return Buffer.from(JSON.stringify(value));
  }

  unpack(bytes: Buffer): unknown {
    return JSON.parse(bytes.toString()) as unknown;
  }
}

const load = (): Promise<unknown> => Promise.resolve({ Packr: JsonPackr });
const context = { namespace: 'n', key: 'k' };

describe('loadMsgpackSerializer', () => {
  it('is used through the codec like any other serializer', async () => {
    const codec = createCodec({ serializer: await loadMsgpackSerializer({ load, trustStore: true }) });
    const bytes = await codec.encode({ a: 1 }, context);
    expect(codec.peek(bytes)).toMatchObject({ serializer: 2 });
    expect(codec.decode(bytes, context)).toMatchObject({ ok: true, value: { a: 1 } });
    expect(createCodec().decode(bytes, context)).toStrictEqual({ ok: false, reason: 'unknown-serializer' });
  });

  it('reads only what is encrypted, unless the store is trusted', async () => {
    const serializer = await loadMsgpackSerializer({ load });
    expect(() => createCodec({ serializer })).toThrow(/author is proven/u);
  });

  it('says what to do when the package is not there', async () => {
    const missing = loadMsgpackSerializer({ load: () => Promise.reject(new Error('Cannot find package')) });
    await expect(missing).rejects.toMatchObject({
      code: 'INVALID_CODEC_OPTIONS',
      hint: /npm install msgpackr/u,
    });
    await expect(loadMsgpackSerializer({ load: () => Promise.resolve({}) })).rejects.toThrow(/has no Packr/u);
  });

  it('does not pass on what the package says about a value', async () => {
    const serializer = await loadMsgpackSerializer({ load });
    const store = (): unknown => serializer.serialize('unstorable');
    expect(store).toThrow(UnserializableValueError);
    try {
      store();
    } catch (error) {
      expect(inspect(error)).not.toContain('planted');
    }
  });
});

describe('with the package itself', () => {
  const value = {
    title: 'Anna Karenina',
    since: new Date(1_700_000_000_000),
    tags: new Set(['a', 'b']),
    pages: new Map([[1, { words: 2n ** 60n }]]),
    cover: new Uint8Array([1, 2, 3]),
    numbers: [0, -1, 1.5, Number.MAX_SAFE_INTEGER, Infinity],
    nothing: null,
  };

  it('values come out as what they were', async () => {
    const serializer = await loadMsgpackSerializer({ load: () => import('msgpackr'), trustStore: true });
    const codec = createCodec({ serializer });
    const bytes = await codec.encode(value, context);
    const decoded = await codec.decode(bytes, context);
    expect(decoded.ok && decoded.value).toEqual({ ...value, cover: expect.anything() as unknown });
    const cover: unknown = decoded.ok ? Reflect.get(Object(decoded.value), 'cover') : undefined;
    expect(cover).toBeInstanceOf(Uint8Array);
    expect([...(cover as Uint8Array)]).toEqual([...value.cover]);
  });

  it('is found by its name, and each value stands on its own', async () => {
    const [here, there] = await Promise.all([
      loadMsgpackSerializer({ trustStore: true }),
      loadMsgpackSerializer({ trustStore: true }),
    ]);
    const codecs = [here, there].map((serializer) => createCodec({ serializer }));
    for (let i = 0; i < 3; i += 1) {
      const bytes = await codecs[0]?.encode({ n: i, again: { n: i } }, context);
      if (bytes === undefined) throw new Error('there is a codec');
      expect(await codecs[1]?.decode(bytes, context)).toMatchObject({
        ok: true,
        value: { n: i, again: { n: i } },
      });
    }
  });
});
