/**
 * A store for `express-session`, for applications that have it already. Ids and cookies stay its own; what is added is
 * that a destroyed session does not come back by the save of a request that was still under way.
 */
import { callbackify } from 'node:util';
import type { Codec } from '../codec/index.js';
import { defineScript, escapeGlob, type RedisClient } from '../connection/index.js';
import { handleOfForeign } from './session-id.js';
import { SessionUnavailableError } from './session.errors.js';
import { SessionKeys } from './session.keys.js';
import type { ResolvedSession } from './session.options.js';

/** What `express-session` exports, as much of it as is needed: `expressSessionStore(session, …)`. */
export interface ExpressSessionModule<Base extends object> {
  readonly Store: abstract new () => Base;
}

export interface ExpressSessionStoreParts {
  readonly client: RedisClient;
  readonly namespace: string;
  readonly codec: Codec;
  readonly settings: ResolvedSession;
}

/** The session as express-session hands it over. */
export interface ExpressSessionRecord {
  readonly cookie?: { readonly maxAge?: number | null | undefined; readonly expires?: unknown } | undefined;
}

type Callback<Value = undefined> = (error: unknown, value?: Value) => void;

export interface ExpressStore {
  get(id: string, callback: Callback<unknown>): void;
  set(id: string, session: ExpressSessionRecord, callback?: Callback): void;
  touch(id: string, session: ExpressSessionRecord, callback?: Callback): void;
  destroy(id: string, callback?: Callback): void;
  length(callback: Callback<number>): void;
  clear(callback?: Callback): void;
}

/** Longer than any request lasts: so long a destroyed id can not be stored under. */
const TOMBSTONE_MS = 600_000;
const TOMBSTONE = '-';

type Single = readonly [key: string];

export const putRecordScript = defineScript({
  name: 'session.put-record',
  lua: `
if redis.call('GET', KEYS[1]) == '${TOMBSTONE}' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`,
  args: ({ bytes, ttlMs }: { bytes: Buffer; ttlMs: number }) => [bytes, ttlMs],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [key]: Single, { bytes, ttlMs }) => {
    const found = keyspace.call('GET', key);
    if (Buffer.isBuffer(found) && found.toString('latin1') === TOMBSTONE) return 0;
    keyspace.call('SET', key, bytes, 'PX', ttlMs);
    return 1;
  },
  idempotent: true,
});

export const touchRecordScript = defineScript({
  name: 'session.touch-record',
  lua: `
if redis.call('GET', KEYS[1]) == '${TOMBSTONE}' then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])`,
  args: ({ ttlMs }: { ttlMs: number }) => [ttlMs],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [key]: Single, { ttlMs }) => {
    const found = keyspace.call('GET', key);
    if (Buffer.isBuffer(found) && found.toString('latin1') === TOMBSTONE) return 0;
    return keyspace.call('PEXPIRE', key, ttlMs);
  },
  idempotent: true,
});

/**
 * ```ts
 * app.use(session({ store: expressSessionStore(session, parts), secret, resave: false, saveUninitialized: false }));
 * ```
 */
export function expressSessionStore<Base extends object>(
  { Store }: ExpressSessionModule<Base>,
  parts: ExpressSessionStoreParts,
): Base & ExpressStore {
  const records = new SessionRecords(parts);
  const methods: ExpressStore = {
    get: (id, callback) => settle(records.get(id), callback),
    set: (id, session, callback) => settle(records.set(id, session), callback),
    touch: (id, session, callback) => settle(records.touch(id, session), callback),
    destroy: (id, callback) => settle(records.destroy(id), callback),
    length: (callback) => settle(records.count(), callback),
    clear: (callback) => settle(records.clear(), callback),
  };
  class RedisStore extends (Store as unknown as new () => object) {}
  return Object.assign(new RedisStore() as Base, methods);
}

class SessionRecords {
  readonly #parts: ExpressSessionStoreParts;
  readonly #keys: SessionKeys;

  constructor(parts: ExpressSessionStoreParts) {
    this.#parts = parts;
    this.#keys = new SessionKeys(parts.namespace);
  }

  async get(id: string): Promise<unknown> {
    const key = this.#keyOf(id);
    const { client, codec, namespace } = this.#parts;
    const bytes = await client.command<Buffer | null>('GET', [key], { reply: 'bytes' });
    if (bytes === null || bytes.toString('latin1') === TOMBSTONE) return null;
    const decoded = await codec.decode(bytes, { namespace, key });
    return decoded.ok ? decoded.value : null;
  }

  async set(id: string, session: ExpressSessionRecord): Promise<undefined> {
    const key = this.#keyOf(id);
    const { client, codec, namespace } = this.#parts;
    // What express-session hands over has methods; what it stores is what its toJSON gives.
    const plain: unknown = JSON.parse(JSON.stringify(session));
    const bytes = await codec.encode(plain, { namespace, key });
    await client.run(putRecordScript, [key], { bytes, ttlMs: this.#lifeOf(session) });
    return undefined;
  }

  async touch(id: string, session: ExpressSessionRecord): Promise<undefined> {
    const args = { ttlMs: this.#lifeOf(session) };
    await this.#parts.client.run(touchRecordScript, [this.#keyOf(id)], args);
    return undefined;
  }

  async destroy(id: string): Promise<undefined> {
    await this.#parts.client.command('SET', [this.#keyOf(id), TOMBSTONE, 'PX', TOMBSTONE_MS]);
    return undefined;
  }

  async count(): Promise<number> {
    let count = 0;
    for await (const names of this.#names()) {
      const found = await Promise.all(names.map((name) => this.#parts.client.command('GET', [name])));
      count += found.filter((text) => text !== null && text !== TOMBSTONE).length;
    }
    return count;
  }

  async clear(): Promise<undefined> {
    for await (const names of this.#names()) {
      await Promise.all(
        names.map((name) => this.#parts.client.command('SET', [name, TOMBSTONE, 'PX', TOMBSTONE_MS])),
      );
    }
    return undefined;
  }

  #names(): AsyncIterable<readonly string[]> {
    return this.#parts.client.scan({ match: `${escapeGlob(this.#keys.records)}*` });
  }

  /** Redis is not to hold what opens a session. */
  #keyOf(id: string): string {
    return this.#keys.records + handleOfForeign(id);
  }

  #lifeOf({ cookie }: ExpressSessionRecord): number {
    const { idleMs } = this.#parts.settings;
    const left = cookie?.maxAge;
    return typeof left === 'number' && Number.isFinite(left) ? Math.max(1, Math.round(left)) : idleMs;
  }
}

/** Errors a callback throws are its own, and reach nobody's promise. */
function settle<Value>(work: Promise<Value>, callback: Callback<Value> = () => undefined): void {
  callbackify(() => work.catch(unavailable))((error, value) => {
    if (error === null) callback(null, value);
    else callback(error);
  });
}

function unavailable(cause: unknown): never {
  throw new SessionUnavailableError('sessions are not available: Redis does not answer', {
    hint: 'answer 503 and let the client try again',
    cause,
  });
}
