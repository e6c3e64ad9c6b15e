import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { NONCE_BYTES, NoncePool, Xaes256Gcm } from './encryption.js';

const NONCE = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX');
const PLAINTEXT = Buffer.from('XAES-256-GCM');

/** Published at c2sp.org/XAES-256-GCM; one with the high bit of L clear, one with it set. */
const VECTORS = [
  { key: 0x01, aad: '', sealed: 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271' },
  {
    key: 0x03,
    aad: 'c2sp.org/XAES-256-GCM',
    sealed: '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d',
  },
] as const;

/** The published hash over that many random messages. The long one takes half a minute: ANBAR_XAES_LONG=1. */
const ACCUMULATED = [
  [10_000, 'e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939'],
  [1_000_000, '2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15'],
] as const;

/** Consumes the SHAKE-128 stream of nothing as the specification says and hashes all ciphertexts. */
function accumulate(messages: number): string {
  // A message takes 312 bytes on average.
  const stream = createHash('shake128', { outputLength: messages * 320 + 4_096 }).digest();
  const hash = createHash('shake128', { outputLength: 32 });
  let at = 0;
  const take = (length: number): Buffer => stream.subarray(at, (at += length));
  const takeVector = (): Buffer => take(take(1)[0] ?? 0);
  for (let message = 0; message < messages; message += 1) {
    const [key, nonce, plaintext, aad] = [take(32), take(24), takeVector(), takeVector()];
    const xaes = new Xaes256Gcm(key);
    const sealed = xaes.seal(nonce, plaintext, aad);
    if (xaes.open(nonce, sealed, aad)?.equals(plaintext) !== true)
      throw new Error(`message ${message} did not open`);
    hash.update(sealed);
  }
  return hash.digest('hex');
}

describe('XAES-256-GCM', () => {
  it.each(VECTORS)('agrees with the published vector of key $key', ({ key, aad, sealed }) => {
    const xaes = new Xaes256Gcm(Buffer.alloc(32, key));
    expect(xaes.seal(NONCE, PLAINTEXT, Buffer.from(aad)).toString('hex')).toBe(sealed);
    expect(xaes.open(NONCE, Buffer.from(sealed, 'hex'), Buffer.from(aad))?.toString()).toBe('XAES-256-GCM');
  });

  it.each(ACCUMULATED)(
    'agrees with the published hash over %d messages',
    (messages, expected) => {
      if (messages > 10_000 && process.env['ANBAR_XAES_LONG'] === undefined) return;
      expect(accumulate(messages)).toBe(expected);
    },
    300_000,
  );

  it('opens nothing that was changed', () => {
    const xaes = new Xaes256Gcm(Buffer.alloc(32, 1));
    const aad = Buffer.from('aad');
    const sealed = xaes.seal(NONCE, PLAINTEXT, aad);
    expect(xaes.open(NONCE, sealed, Buffer.from('aae'))).toBeUndefined();
    expect(xaes.open(Buffer.from(NONCE).fill(0x7a, 23), sealed, aad)).toBeUndefined();
    expect(xaes.open(Buffer.from(NONCE).fill(0x7a, 0, 1), sealed, aad)).toBeUndefined();
    expect(new Xaes256Gcm(Buffer.alloc(32, 2)).open(NONCE, sealed, aad)).toBeUndefined();
    for (let length = 0; length < sealed.length; length += 1) {
      expect(xaes.open(NONCE, sealed.subarray(0, length), aad)).toBeUndefined();
    }
  });

  it('shows no key when printed', () => {
    const printed = inspect(new Xaes256Gcm(Buffer.from('planted-secret-planted-secret-32')), {
      depth: 9,
      showHidden: true,
    });
    expect(printed).not.toMatch(/planted|70 6c 61/u);
  });
});

describe('NoncePool', () => {
  it('hands out no nonce twice', () => {
    const pool = new NoncePool();
    const seen = new Set<string>();
    for (let draw = 0; draw < 2_000; draw += 1) {
      const target = Buffer.alloc(NONCE_BYTES + 2);
      pool.writeTo(target, 1);
      expect([target[0], target.at(-1)]).toStrictEqual([0, 0]);
      seen.add(target.toString('hex'));
    }
    expect(seen.size).toBe(2_000);
  });
});
