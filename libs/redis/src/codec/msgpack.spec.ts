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
