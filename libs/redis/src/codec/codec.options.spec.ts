import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { CODEC_DEFAULTS, resolveCodec, type CodecOptions } from './codec.options.js';

const secret = randomBytes(32);

describe('resolveCodec', () => {
  it('fills in the defaults', () => {
    expect(resolveCodec()).toMatchObject({
      serializer: { id: 1, name: 'json' },
      maxBytes: 1_048_576,
      compression: false,
      encryption: false,
    });
    expect(
      resolveCodec({ compression: { algorithm: 'gzip' }, encryption: { keys: [{ id: 'k', secret }] } }),
    ).toMatchObject({
      compression: { algorithm: 'gzip', threshold: CODEC_DEFAULTS.compressionThreshold },
      encryption: { required: true },
    });
  });

  it.each<readonly [unknown, RegExp]>([
    [{ serializer: 'xml' }, /serializer: 'xml'/u],
    [{ serializer: { id: 300, name: 'x', serialize: String, deserialize: String } }, /serializer\.id: 300/u],
    [{ compression: { algorithm: 'lzma' } }, /compression\.algorithm: 'lzma'/u],
    [{ compression: { algorithm: 'gzip', threshold: -1 } }, /compression\.threshold: -1/u],
    [{ encryption: {} }, /encryption\.keys/u],
    [{ encryption: { keys: [] } }, /list is empty/u],
    [{ maxBytes: Number.NaN }, /maxBytes: NaN/u],
    [{ protoKeys: 'drop' }, /protoKeys: drop/u],
  ])('refuses %j', (options, message) => {
    expect(() => resolveCodec(options as CodecOptions)).toThrow(message);
  });

  it('holds no secret that printing could show', () => {
    const resolved = resolveCodec({ encryption: { keys: [{ id: 'k', secret: secret.toString('base64') }] } });
    const printed = inspect(resolved, { depth: 9, showHidden: true }) + JSON.stringify(resolved);
    expect(printed).not.toContain(secret.toString('base64'));
    expect(printed).not.toContain(secret.toString('hex').slice(0, 8));
  });
});
