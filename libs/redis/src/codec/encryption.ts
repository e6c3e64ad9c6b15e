/**
 * XAES-256-GCM as C2SP specifies it (c2sp.org/XAES-256-GCM): AES-256-GCM under a subkey that AES-CMAC derives
 * from the key and the first half of a 24-byte nonce. The long nonce is the point: random 12-byte nonces are
 * safe for 2^32 messages under a key, five days at 10,000 writes a second, and a fleet can not share a counter.
 *
 * It is not key-committing: a reader must choose the key by its id and never try several.
 */
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto';

export const KEY_BYTES = 32;
export const NONCE_BYTES = 24;
export const SEAL_BYTES = 16;

const HALF_NONCE = 12;
const BLOCK = 16;
const GCM = 'aes-256-gcm';

/** One key, with what is derived from it once. Secrets sit in private fields, which `inspect` does not show. */
export class Xaes256Gcm {
  readonly #block: ReturnType<typeof createCipheriv>;
  readonly #k1: Buffer;

  constructor(key: Buffer) {
    // Without padding, ECB is the bare block cipher, and its stream object can be used for every block.
    this.#block = createCipheriv('aes-256-ecb', key, null);
    this.#block.setAutoPadding(false);
    this.#k1 = cmacSubkey(this.#block.update(Buffer.alloc(BLOCK)));
  }

  /** Ciphertext and tag. The nonce must never have been used with this key before. */
  seal(nonce: Buffer, plaintext: Buffer, additionalData: Buffer): Buffer {
    const cipher = createCipheriv(GCM, this.#subkey(nonce), nonce.subarray(HALF_NONCE));
    cipher.setAAD(additionalData);
    const ciphertext = cipher.update(plaintext);
    cipher.final();
    return Buffer.concat([ciphertext, cipher.getAuthTag()]);
  }

  /** The plaintext, or undefined when anything about it is not what was sealed. */
  open(nonce: Buffer, sealed: Buffer, additionalData: Buffer): Buffer | undefined {
    const end = sealed.length - SEAL_BYTES;
    if (end < 0) return undefined;
    const decipher = createDecipheriv(GCM, this.#subkey(nonce), nonce.subarray(HALF_NONCE), {
      authTagLength: SEAL_BYTES,
    });
    decipher.setAAD(additionalData);
    decipher.setAuthTag(sealed.subarray(end));
    const plaintext = decipher.update(sealed.subarray(0, end));
    try {
      decipher.final();
      return plaintext;
    } catch {
      return undefined;
    }
  }

  #subkey(nonce: Buffer): Buffer {
    const blocks = Buffer.alloc(2 * BLOCK);
    for (const counter of [1, 2]) {
      const at = (counter - 1) * BLOCK;
      blocks[at + 1] = counter;
      blocks[at + 2] = 0x58; // 'X'
      nonce.copy(blocks, at + 4, 0, HALF_NONCE);
      for (let index = 0; index < BLOCK; index += 1) {
        blocks[at + index] = (blocks[at + index] ?? 0) ^ (this.#k1[index] ?? 0);
      }
    }
    return this.#block.update(blocks);
  }
}

/** Doubling in GF(2^128), as CMAC makes its first subkey. */
function cmacSubkey(block: Buffer): Buffer {
  const doubled = Buffer.alloc(BLOCK);
  for (let index = 0; index < BLOCK; index += 1) {
    doubled[index] = ((block[index] ?? 0) << 1) | ((block[index + 1] ?? 0) >> 7);
  }
  if (((block[0] ?? 0) & 0x80) !== 0) doubled[BLOCK - 1] = (doubled[BLOCK - 1] ?? 0) ^ 0x87;
  return doubled;
}

const POOL_NONCES = 256;

/** Random nonces drawn many at a time: asking the system for each one costs twenty times as much. */
export class NoncePool {
  readonly #pool = Buffer.alloc(NONCE_BYTES * POOL_NONCES);
  #at = this.#pool.length;

  /** Writes the next nonce into `target` at `offset`; no nonce is handed out twice. */
  writeTo(target: Buffer, offset: number): void {
    if (this.#at === this.#pool.length) {
      randomFillSync(this.#pool);
      this.#at = 0;
    }
    this.#pool.copy(target, offset, this.#at, this.#at + NONCE_BYTES);
    this.#at += NONCE_BYTES;
  }
}
