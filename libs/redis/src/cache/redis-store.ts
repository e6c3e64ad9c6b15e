/** The second tier: one Redis, whatever its topology. A hit is a plain GET; scripts serve only the rest. */
import type { Codec, Decoded, Entry } from '../codec/index.js';
import type { RedisClient } from '../connection/index.js';
import { inBatches } from '../core/index.js';
import { acquireScript, fillScript, releaseScript, renewScript } from './loading/lease.scripts.js';
import type { CacheKeys } from './cache.keys.js';
import { putScript, removeScript, sha1, swapScript } from './cache.scripts.js';
import {
  FAILED,
  FILLED,
  HELD,
  KEEP_FILLED_MS,
  NOTHING,
  readRecord,
  writeRecord,
} from './loading/lease-record.js';
import {
  COUNTER_CLOCK,
  isCounter,
  type CacheEntry,
  type Found,
  type Grant,
  type LeaseAsk,
  type Release,
  type Store,
  type StoreCall,
} from './store.js';

export interface RedisStoreParts {
  readonly client: RedisClient;
  readonly keys: CacheKeys;
  readonly codec: Codec;
  readonly schema: number;
  /** How long the failure of a load is kept for those who wait for it. */
  readonly keepFailureMs: number;
  wallNow(): number;
}

/**
 * So long the news of a failure may be on its way: who called when the load had failed already, and it was not yet
 * written down, is not to be failed by it.
 */
const ON_ITS_WAY_MS = 20;

/** Those who waited for a load ask about its end within this time. */
const KEEP_NOTHING_MS = 2_000;

/** Somebody else changes the entry at the same time, again and again: then theirs stands. */
const UPDATE_ATTEMPTS = 5;

const GRANTED: Grant = Object.freeze({ state: 'granted' });
/** Whoever asks again under the same token is told by the script that the lease is theirs. */
const REPEATABLE = Object.freeze({ idempotent: true });

const NO_TAGS: readonly string[] = Object.freeze([]);
const INTEGER = /^-?\d{1,16}$/u;
const LONGEST_INTEGER = 17;

export class RedisStore implements Store {
  readonly #parts: RedisStoreParts;

  constructor(parts: RedisStoreParts) {
    this.#parts = parts;
  }

  get(key: string, call?: StoreCall): Promise<Found | undefined> {
    const { keys } = this.#parts;
    return this.#bytes(key, call).then((bytes) => {
      if (bytes === null) return undefined;
      const decoded = this.#decode(key, bytes);
      if (decoded instanceof Promise) return decoded.then((later) => toFound(later, bytes, keys));
      return toFound(decoded, bytes, keys);
    });
  }

  set(key: string, entry: CacheEntry, call?: StoreCall): Promise<void> {
    const { client, keys } = this.#parts;
    return this.#encoded(key, entry, (bytes) => {
      const args = { bytes, ttlMs: this.#lifetime(entry), channel: keys.wake(key) };
      return client.run(putScript, [key, keys.lease(key)], args, call);
    });
  }

  async remove(names: readonly string[], call?: StoreCall): Promise<number> {
    const { client, keys } = this.#parts;
    const removed = await inBatches(names, (key) =>
      client.run(removeScript, [key, keys.lease(key)], { channel: keys.wake(key) }, call),
    );
    return removed.reduce((sum, count) => sum + count, 0);
  }

  async update(key: string, change: (entry: CacheEntry) => CacheEntry, call?: StoreCall): Promise<boolean> {
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt += 1) {
      const before = await this.#bytes(key, call);
      const found =
        before === null ? undefined : toFound(await this.#decode(key, before), before, this.#parts.keys);
      if (before === null || found === undefined || isCounter(found.entry)) return false;
      const entry = change(found.entry);
      const bytes = await this.#encode(key, entry);
      const args = { digest: sha1(before), bytes, ttlMs: this.#lifetime(entry) };
      if (await this.#parts.client.run(swapScript, [key], args, call)) return true;
    }
    return false;
  }

  /** Nearly always nobody else wants it; only when something stands there, a script looks at what it is. */
  async acquire(key: string, ask: LeaseAsk): Promise<Grant> {
    const { client, keys } = this.#parts;
    const lease = keys.lease(key);
    const taken = await client.command('SET', [lease, HELD + ask.token, 'PX', ask.leaseMs, 'NX'], REPEATABLE);
    if (taken === 'OK') return GRANTED;
    const { record, leftMs } = await client.run(acquireScript, [lease], {
      token: ask.token,
      leaseMs: ask.leaseMs,
      waitedFor: ask.anyFailure === true ? '*' : (ask.waitedFor ?? ''),
      despite: ask.despite ?? '',
      failedSinceMs: this.#parts.keepFailureMs - Math.max(0, Math.floor((ask.waitedMs ?? 0) - ON_ITS_WAY_MS)),
    });
    return record === undefined ? GRANTED : this.#grant(key, record, leftMs);
  }

  renew(key: string, token: string, leaseMs: number): Promise<boolean> {
    const { client, keys } = this.#parts;
    return client.run(renewScript, [keys.lease(key)], { token, leaseMs });
  }

  fill(key: string, entry: CacheEntry, token: string): Promise<boolean> {
    const { client, keys } = this.#parts;
    return this.#encoded(key, entry, (bytes) => {
      const ttlMs = this.#lifetime(entry);
      const args = { token, bytes, ttlMs, keepMs: KEEP_FILLED_MS, channel: keys.wake(key) };
      return client.run(fillScript, [key, keys.lease(key)], args);
    });
  }

  async release(key: string, token: string, release: Release): Promise<boolean> {
    const { client, keys } = this.#parts;
    const record = await this.#recordOf(key, token, release);
    const keepMs = release.outcome === 'failed' ? this.#parts.keepFailureMs : KEEP_NOTHING_MS;
    const args = { token, record, keepMs, channel: keys.wake(key) };
    return client.run(releaseScript, [keys.lease(key)], args);
  }

  #bytes(key: string, call: StoreCall | undefined): Promise<Buffer | null> {
    return this.#parts.client.command<Buffer | null>('GET', [key], {
      reply: 'bytes',
      anyType: true,
      signal: call?.signal,
    });
  }

  #decode(key: string, bytes: Buffer): Decoded | Promise<Decoded> {
    const { codec, keys, schema } = this.#parts;
    return codec.decode(bytes, { namespace: keys.namespace, key, schema });
  }

  #encode(key: string, entry: CacheEntry): Buffer | Promise<Buffer> {
    const { codec, keys, schema } = this.#parts;
    const header = schema === 0 ? entry : { ...entry, schema };
    return codec.encode(entry.value, { namespace: keys.namespace, key, entry: header });
  }

  /** Nothing is waited for that is at hand: the command has to leave in the tick of the call. */
  #encoded<T>(key: string, entry: CacheEntry, send: (bytes: Buffer) => Promise<T>): Promise<T> {
    try {
      const encoded = this.#encode(key, entry);
      return encoded instanceof Promise ? encoded.then(send) : send(encoded);
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #lifetime(entry: CacheEntry): number {
    if (entry.expiresAt === undefined) return 0;
    return Math.max(1, Math.round(entry.expiresAt - this.#parts.wallNow()));
  }

  /** What a failed load tells goes through the codec too: a message may quote what encryption is to hide. */
  async #recordOf(key: string, token: string, release: Release): Promise<Buffer> {
    if (release.outcome === 'gone') return Buffer.alloc(0);
    if (release.outcome === 'nothing') return writeRecord(NOTHING, token);
    const { codec, keys } = this.#parts;
    const context = { namespace: keys.namespace, key: keys.lease(key) };
    return writeRecord(FAILED, token, await codec.encode(release.failure, context));
  }

  async #grant(key: string, bytes: Buffer, leftMs: number): Promise<Grant> {
    const { state, token, payload } = readRecord(bytes);
    if (state === HELD) return { state: 'held', token, leftMs };
    if (state === FILLED) return { state: 'filled', token };
    if (state === NOTHING) return { state: 'nothing', token };
    const { codec, keys } = this.#parts;
    const decoded = await codec.decode(payload, { namespace: keys.namespace, key: keys.lease(key) });
    return { state: 'failed', token, failure: decoded.ok ? decoded.value : undefined };
  }
}

function toFound(decoded: Decoded, bytes: Buffer, keys: CacheKeys): Found | undefined {
  if (!decoded.ok) return decoded.reason === 'foreign' ? toCounter(bytes) : undefined;
  const { entry, value } = decoded;
  return { tier: 'l2', bytes: bytes.length, entry: new ReadEntry(entry, value, keys) };
}

/**
 * A class, and no literal: of literals V8 learns by place how long they live. Once those of a near cache had lived long,
 * it would make all of them among the old ones, with what they hold, those of a cache without memory too: there a sixth
 * of the time went into collecting them.
 */
class ReadEntry implements CacheEntry {
  readonly value: unknown;
  readonly createdAt: number;
  readonly softExpiresAt: number | undefined;
  readonly expiresAt: number | undefined;
  readonly clock: number;
  readonly loadMs: number;
  readonly negative: boolean;
  readonly tags: readonly string[];
  readonly #keys: CacheKeys;
  #tagKeys: CacheEntry['tagKeys'];

  constructor(entry: Entry, value: unknown, keys: CacheKeys) {
    this.value = entry.negative ? null : value;
    this.createdAt = entry.createdAt;
    this.softExpiresAt = entry.softExpiresAt;
    this.expiresAt = entry.expiresAt;
    this.clock = entry.clock;
    this.loadMs = entry.loadMs;
    this.negative = entry.negative;
    this.tags = entry.tags;
    this.#keys = keys;
  }

  /** Only a near cache asks for them, and then for each hit. */
  get tagKeys(): CacheEntry['tagKeys'] {
    if (this.#tagKeys !== undefined || this.tags.length === 0) return this.#tagKeys;
    this.#tagKeys = { madeBy: this.#keys, keys: this.#keys.tags(this.tags) };
    return this.#tagKeys;
  }
}

/** What `incr` counts in is Redis' own integer and no envelope; a flush removes it by its name. */
function toCounter(bytes: Buffer): Found | undefined {
  if (bytes.length > LONGEST_INTEGER) return undefined;
  const text = bytes.toString('latin1');
  if (!INTEGER.test(text)) return undefined;
  return {
    tier: 'l2',
    bytes: bytes.length,
    entry: {
      value: Number(text),
      createdAt: 0,
      softExpiresAt: undefined,
      expiresAt: undefined,
      clock: COUNTER_CLOCK,
      loadMs: 0,
      negative: false,
      tags: NO_TAGS,
    },
  };
}
