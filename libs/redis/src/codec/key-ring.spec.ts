import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { InvalidCodecOptionsError } from './codec.errors.js';
import { KeyRing, wireIdOf } from './key-ring.js';

const SECRET = Buffer.from('f0e1d2c3b4a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff', 'hex');

describe('KeyRing', () => {
  it('encrypts with the first key and finds every key by its id', () => {
    const ring = new KeyRing([
      { id: 'new', secret: randomBytes(32) },
      { id: 'old', secret: randomBytes(32) },
    ]);
    expect(ring.currentId).toBe('new');
    expect(ring.ids).toStrictEqual(['new', 'old']);
    expect(ring.current('a')).toMatchObject({ id: 'new', current: true, wireId: wireIdOf('new') });
    expect(ring.find(wireIdOf('old'), 'a')).toMatchObject({ id: 'old', current: false });
    expect(ring.find(wireIdOf('other'), 'a')).toBeUndefined();
    expect(ring.idOf(wireIdOf('old'))).toBe('old');
  });

  it('takes bytes, hex, base64 and base64url for the same key', () => {
    const nonce = Buffer.alloc(24);
    const forms = [
      SECRET,
      new Uint8Array(SECRET),
      SECRET.toString('hex'),
      SECRET.toString('base64'),
      SECRET.toString('base64url'),
    ];
    const sealed = forms.map((secret) =>
      new KeyRing([{ id: 'k', secret }])
        .current('ns')
        .cipher.seal(nonce, Buffer.from('x'), nonce)
        .toString('hex'),
    );
    expect(new Set(sealed).size).toBe(1);
  });

  it('derives one key per namespace, once, and bounds how many it keeps', () => {
    const ring = new KeyRing([{ id: 'k', secret: SECRET }]);
    const first = ring.current('a');
    expect(ring.current('a')).toBe(first);
    expect(ring.find(wireIdOf('k'), 'a')).toBe(first);
    const nonce = Buffer.alloc(24);
    const sealed = first.cipher.seal(nonce, Buffer.from('x'), nonce);
    for (const other of ['b', '', 'x'.repeat(2_000)]) {
      expect(ring.current(other).cipher.open(nonce, sealed, nonce)).toBeUndefined();
    }
    for (let index = 0; index < 1_100; index += 1) ring.current(`tenant-${index}`);
    expect(ring.current('a')).not.toBe(first);
    expect(ring.current('a').cipher.open(nonce, sealed, nonce)?.toString()).toBe('x');
  });

  it.each<readonly [string, unknown]>([
    ['nothing', undefined],
    ['a short text', 'planted-secret'],
    ['a passphrase of 32 bytes', Buffer.from('planted-secret-planted-secret-32')],
    ['a passphrase of many letters', Buffer.from('planted: The quick brown fox jum')],
    ['a passphrase in hex', Buffer.from('planted-secret-planted-secret-32').toString('hex')],
    ['31 bytes', SECRET.subarray(1)],
    ['33 bytes', Buffer.concat([SECRET, SECRET]).subarray(31)],
    ['zeros', Buffer.alloc(32)],
    ['a pattern', Buffer.alloc(32, SECRET.subarray(0, 8))],
    ['a number', 12],
  ])('refuses %s as a secret, says how to make one, and does not quote it', (_name, secret) => {
    const make = (): KeyRing => Reflect.construct(KeyRing, [[{ id: 'k', secret }]]) as KeyRing;
    expect(make).toThrow(InvalidCodecOptionsError);
    try {
      make();
    } catch (error) {
      const printed = inspect(error) + JSON.stringify(error);
      expect(printed).toContain('openssl rand -base64 32');
      expect(printed).not.toMatch(/planted|706c616e|f0e1d2|240, 225/u);
    }
  });

  it('refuses an empty ring, ids that are no ids and the same id twice', () => {
    expect(() => new KeyRing([])).toThrow(/list is empty/u);
    expect(() => new KeyRing([{ id: 'a b', secret: SECRET }])).toThrow(/keys\[0\]\.id/u);
    expect(
      () =>
        new KeyRing([
          { id: 'k', secret: SECRET },
          { id: 'k', secret: randomBytes(32) },
        ]),
    ).toThrow(/one ring/u);
  });

  it('shows no secret when printed', () => {
    const ring = new KeyRing([{ id: 'k', secret: SECRET }]);
    ring.current('a');
    const printed = inspect(ring, { depth: 9, showHidden: true }) + JSON.stringify(ring);
    expect(printed).not.toMatch(/f0\W?e1\W?d2|240, 225/u);
  });
});
