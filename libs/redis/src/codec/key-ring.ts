/**
 * The keys a process knows: one to encrypt with, any number to decrypt with. A value names its key by four
 * bytes derived from the key's id; the ring looks that up and never tries one key after another.
 *
 * What encrypts is not the configured secret but a key that HKDF derives from it for each namespace, so that a
 * value can not be carried from one namespace to another even by whoever knows one namespace's key.
 */
import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { InvalidCodecOptionsError } from './codec.errors.js';
import { KEY_BYTES, Xaes256Gcm } from './encryption.js';

export interface EncryptionKey {
  /** Names the key in the ring, in metrics and (as four bytes of its hash) in every value. Not a secret. */
  readonly id: string;
  /** 32 random bytes, as bytes or written in base64 or hex. */
  readonly secret: string | Uint8Array;
}

export interface RingCipher {
  readonly id: string;
  readonly wireId: number;
  readonly current: boolean;
  readonly cipher: Xaes256Gcm;
}

interface RingKey {
  readonly id: string;
  readonly wireId: number;
  readonly master: KeyObject;
}

const SALT = 'anbar';
const INFO = 'anbar|v1|enc|';
const LONG_INFO = 'anbar|v1|enc-long|';

/** HKDF takes at most 1,024 bytes of info; a longer namespace goes in by its hash. */
const LONGEST_PLAIN_NAMESPACE = 512;

/** Namespaces are few; whoever derives them from user input must not fill the memory with keys. */
const MOST_DERIVED = 1_024;

const HOW_TO_MAKE_ONE = 'make one with: openssl rand -base64 32';

export class KeyRing {
  readonly #keys = new Map<number, RingKey>();
  readonly #current: RingKey;
  readonly #derived = new Map<string, RingCipher>();

  /** The first key encrypts; all of them decrypt. */
  constructor(keys: readonly EncryptionKey[]) {
    const ring = keys.map((key, index) => ringKey(key, index));
    const [current] = ring;
    if (current === undefined) {
      throw new InvalidCodecOptionsError('encryption.keys: the list is empty', { hint: HOW_TO_MAKE_ONE });
    }
    for (const key of ring) {
      const other = this.#keys.get(key.wireId);
      if (other !== undefined) {
        throw new InvalidCodecOptionsError(
          `encryption.keys: '${key.id}' and '${other.id}' can not stand in one ring`,
          { hint: 'every key needs an id of its own; a retired id must never be given to another secret' },
        );
      }
      this.#keys.set(key.wireId, key);
    }
    this.#current = current;
  }

  get currentId(): string {
    return this.#current.id;
  }

  get ids(): readonly string[] {
    return [...this.#keys.values()].map((key) => key.id);
  }

  idOf(wireId: number): string | undefined {
    return this.#keys.get(wireId)?.id;
  }

  current(namespace: string): RingCipher {
    return this.#derive(this.#current, namespace);
  }

  /** The key with which the value says it was written, or undefined. */
  find(wireId: number, namespace: string): RingCipher | undefined {
    const key = this.#keys.get(wireId);
    return key === undefined ? undefined : this.#derive(key, namespace);
  }

  #derive(key: RingKey, namespace: string): RingCipher {
    const name = `${key.wireId}|${namespace}`;
    const known = this.#derived.get(name);
    if (known !== undefined) return known;
    const bytes = hkdfSync('sha256', key.master, SALT, infoOf(namespace), KEY_BYTES);
    const derived: RingCipher = {
      id: key.id,
      wireId: key.wireId,
      current: key === this.#current,
      cipher: new Xaes256Gcm(Buffer.from(bytes)),
    };
    if (this.#derived.size >= MOST_DERIVED) this.#derived.clear();
    this.#derived.set(name, derived);
    return derived;
  }
}

/** The four bytes by which values name a key. */
export function wireIdOf(id: string): number {
  return createHash('sha256').update(`anbar|key-id|${id}`).digest().readUInt32BE(0);
}

function infoOf(namespace: string): string {
  if (Buffer.byteLength(namespace) <= LONGEST_PLAIN_NAMESPACE) return INFO + namespace;
  return LONG_INFO + createHash('sha256').update(namespace).digest('hex');
}

function ringKey(key: EncryptionKey, index: number): RingKey {
  const id: unknown = key.id;
  if (typeof id !== 'string' || !/^[\w.-]{1,64}$/u.test(id)) {
    throw new InvalidCodecOptionsError(`encryption.keys[${index}].id: it is not a usable id`, {
      hint: "letters, digits, _ . - only, 64 at most, for example '2026-11'",
    });
  }
  return { id, wireId: wireIdOf(id), master: createSecretKey(secretBytes(key.secret, id)) };
}

/** The bytes of a secret; refuses what is not 32 bytes of key material. The messages never quote it. */
function secretBytes(secret: unknown, id: string): Buffer {
  const bytes = typeof secret === 'string' ? decodeSecret(secret) : bytesOf(secret);
  if (bytes?.length !== KEY_BYTES) throw weak(id, 'is not 32 bytes, in base64, in hex or as bytes');
  if (bytes.every((byte) => byte >= 0x20 && byte <= 0x7e)) throw weak(id, 'is text, not 32 random bytes');
  if (new Set(bytes).size < KEY_BYTES / 2) throw weak(id, 'repeats itself and is not random');
  return bytes;
}

function bytesOf(secret: unknown): Buffer | undefined {
  return secret instanceof Uint8Array ? Buffer.from(secret) : undefined;
}

function decodeSecret(text: string): Buffer | undefined {
  const trimmed = text.trim();
  if (/^[0-9a-f]{64}$/iu.test(trimmed)) return Buffer.from(trimmed, 'hex');
  return /^[\w+/-]{43}=?$/u.test(trimmed) ? Buffer.from(trimmed, 'base64') : undefined;
}

function weak(id: string, what: string): InvalidCodecOptionsError {
  return new InvalidCodecOptionsError(`encryption.keys: the secret of '${id}' ${what}`, {
    hint: HOW_TO_MAKE_ONE,
  });
}
