/**
 * Redis with types: values are JSON both ways, a miss is `undefined`, durations are `'30s'` or seconds, and
 * what is written expires. Keys are the caller's own and are not prefixed, so that it reads and writes what
 * other programs do.
 */
import { decodeJson, encodeJson } from '../codec/index.js';
import { inBatches, parsePositiveDuration, type Duration } from '../core/index.js';
import { toKey, type Key } from './key.js';
import { hashSetScript, incrementScript } from './redis-adapter.scripts.js';
import type { CallOptions, ClientStatus, RedisClient, ScanOptions, Subscription } from './redis-client.js';
import type { Reply } from './reply.js';
import type { Script } from './script.js';

/** How long a value stays, or `'never'` for no expiry at all. A number counts seconds. */
export type Ttl = Duration | 'never';

export interface SetOptions extends CallOptions {
  /** @default the connection's `defaultTtl`, `'1h'` */
  ttl?: Ttl | undefined;
  /** Write only when the key is absent, or only when it is present. */
  when?: 'absent' | 'present' | undefined;
}

export interface WriteOptions extends CallOptions {
  /** Given to the key when it has no expiry yet. @default the connection's `defaultTtl`, `'1h'` */
  ttl?: Ttl | undefined;
}

export interface ListenOptions {
  /** Glob patterns instead of plain names. @default false */
  patterns?: boolean;
  /** The connection was away: messages sent meanwhile are lost. */
  onGap?(): void;
}

/** The raw driver, for what this module does not cover: made on first use, closed with the adapter. */
export interface NativeClient<Native> {
  open(): Promise<Native>;
  close(): void;
}

export class RedisAdapter<Native = unknown> {
  readonly #client: RedisClient;
  readonly #defaultTtlMs: number | undefined;
  readonly #native: NativeClient<Native>;

  constructor(
    client: RedisClient,
    settings: { defaultTtlMs: number | undefined; native: NativeClient<Native> },
  ) {
    this.#client = client;
    this.#defaultTtlMs = settings.defaultTtlMs;
    this.#native = settings.native;
  }

  /** The name of the connection: `'default'`, or the one under `connections`. */
  get name(): string {
    return this.#client.name;
  }

  /** The port below, for capabilities that speak Redis themselves. */
  get port(): RedisClient {
    return this.#client;
  }

  connect(options?: { timeout?: Duration }): Promise<void> {
    return this.#client.connect(options);
  }

  async disconnect(options?: { drain?: Duration }): Promise<void> {
    this.#native.close();
    await this.#client.disconnect(options);
  }

  status(): ClientStatus {
    return this.#client.status();
  }

  /** Takes a node out by hand, by its name in `status()`, or all of them: calls fail at once until `restore`. */
  isolate(node?: string): void {
    this.#client.isolate(node);
  }

  restore(node?: string): void {
    this.#client.restore(node);
  }

  async get<T = unknown>(key: Key, options?: CallOptions): Promise<T | undefined> {
    return decode<T>(await this.#client.command<string | null>('GET', [toKey(key)], options));
  }

  /** Values in the order of the keys. They leave together and come back together. */
  async getMany<T = unknown>(keys: readonly Key[], options?: CallOptions): Promise<(T | undefined)[]> {
    return inBatches(keys, (key) => this.get<T>(key, options));
  }

  /**
   * Stores a value. `undefined` is no value: nothing is stored and nothing removed.
   * @returns whether it was written; `false` only with `when`, or for `undefined`
   */
  async set(key: Key, value: unknown, ttl?: Ttl | SetOptions): Promise<boolean> {
    if (value === undefined) return false;
    const options: SetOptions = typeof ttl === 'object' ? ttl : { ttl };
    const expiry = this.#expiry(options.ttl);
    const args = [
      toKey(key),
      encodeJson(value),
      ...(expiry === undefined ? [] : ['PX', expiry]),
      ...(options.when === undefined ? [] : [options.when === 'absent' ? 'NX' : 'XX']),
    ];
    return (await this.#client.command('SET', args, options)) === 'OK';
  }

  /** Stores many values with one expiry. Each is written on its own: this is not a transaction. */
  async setMany(entries: Iterable<readonly [Key, unknown]>, ttl?: Ttl | SetOptions): Promise<void> {
    await inBatches([...entries], ([key, value]) => this.set(key, value, ttl));
  }

  /** @returns whether there was something to delete */
  async delete(key: Key, options?: CallOptions): Promise<boolean> {
    return (await this.#client.command<number>('UNLINK', [toKey(key)], options)) > 0;
  }

  /** @returns how many there were */
  async deleteMany(keys: readonly Key[], options?: CallOptions): Promise<number> {
    const deleted = await inBatches(keys, (key) => this.delete(key, options));
    return deleted.filter(Boolean).length;
  }

  async exists(key: Key, options?: CallOptions): Promise<boolean> {
    return (await this.#client.command<number>('EXISTS', [toKey(key)], options)) > 0;
  }

  /**
   * Adds to a whole number, from 0 where there is none. A new counter gets its expiry in the same step, and
   * counting on does not renew it.
   */
  async incr(key: Key, amount = 1, options: WriteOptions = {}): Promise<number> {
    const name = toKey(key);
    const ttlMs = this.#expiry(options.ttl);
    if (ttlMs === undefined) return this.#client.command<number>('INCRBY', [name, amount], options);
    return this.#client.run(incrementScript, [name], { amount, ttlMs }, options);
  }

  /** @returns whether the key is there and has the new expiry now */
  async expire(key: Key, ttl: Ttl, options?: CallOptions): Promise<boolean> {
    const ttlMs = this.#expiry(ttl);
    if (ttlMs === undefined) {
      await this.#client.command('PERSIST', [toKey(key)], options);
      return this.exists(key, options);
    }
    return (await this.#client.command<number>('PEXPIRE', [toKey(key), ttlMs], options)) === 1;
  }

  /** Seconds left, with fractions; `'never'` without an expiry, `undefined` without a key. */
  async ttl(key: Key, options?: CallOptions): Promise<number | 'never' | undefined> {
    const left = await this.#client.command<number>('PTTL', [toKey(key)], options);
    if (left === -2) return undefined;
    return left === -1 ? 'never' : left / 1_000;
  }

  async hget<T = unknown>(key: Key, field: string, options?: CallOptions): Promise<T | undefined> {
    return decode<T>(await this.#client.command<string | null>('HGET', [toKey(key), field], options));
  }

  async hgetAll<T = unknown>(key: Key, options?: CallOptions): Promise<Map<string, T>> {
    const flat = await this.#client.command<readonly string[]>('HGETALL', [toKey(key)], options);
    const fields = new Map<string, T>();
    for (let i = 0; i + 1 < flat.length; i += 2) {
      const value = decode<T>(flat[i + 1] ?? null);
      if (value !== undefined) fields.set(String(flat[i]), value);
    }
    return fields;
  }

  /**
   * Sets one field, or several at once. A new hash gets its expiry in the same step.
   * @returns how many fields are new
   */
  hset(key: Key, field: string, value: unknown, options?: WriteOptions): Promise<number>;
  hset(key: Key, fields: Readonly<Record<string, unknown>>, options?: WriteOptions): Promise<number>;
  async hset(
    key: Key,
    first: string | Readonly<Record<string, unknown>>,
    second?: unknown,
    third?: WriteOptions,
  ): Promise<number> {
    const single = typeof first === 'string';
    const options = (single ? third : (second as WriteOptions | undefined)) ?? {};
    const entries = (single ? [[first, second] as const] : Object.entries(first)).filter(
      ([, value]) => value !== undefined,
    );
    if (entries.length === 0) return 0;
    const name = toKey(key);
    const fields = entries.flatMap(([field, value]) => [field, encodeJson(value)]);
    const ttlMs = this.#expiry(options.ttl);
    if (ttlMs === undefined) return this.#client.command<number>('HSET', [name, ...fields], options);
    return this.#client.run(hashSetScript, [name], { fields, ttlMs }, options);
  }

  /** @returns how many of the fields there were */
  hdelete(key: Key, fields: string | readonly string[], options?: CallOptions): Promise<number> {
    const names = typeof fields === 'string' ? [fields] : fields;
    if (names.length === 0) return Promise.resolve(0);
    return this.#client.command<number>('HDEL', [toKey(key), ...names], options);
  }

  /** Key names in batches, from every server that holds keys. */
  scan(options?: ScanOptions): AsyncIterable<readonly string[]> {
    return this.#client.scan(options);
  }

  run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options?: CallOptions,
  ): Promise<Result> {
    return this.#client.run(script, keys, args, options);
  }

  /** @returns how many listeners Redis handed it to; in a cluster those of one node only */
  publish(channel: string, message: unknown, options?: CallOptions): Promise<number> {
    return this.#client.command<number>('PUBLISH', [channel, encodeJson(message)], options);
  }

  subscribe<T = unknown>(
    names: string | readonly string[],
    onMessage: (message: T, channel: string) => void,
    options: ListenOptions = {},
  ): Subscription {
    const list = typeof names === 'string' ? [names] : names;
    return this.#client.subscribe({
      ...(options.patterns === true ? { patterns: list } : { channels: list }),
      onMessage: ({ channel, payload }) => onMessage(decodeJson(payload.toString()) as T, channel),
      onGap: () => options.onGap?.(),
    });
  }

  /** Round trip in milliseconds. */
  async ping(options?: CallOptions): Promise<number> {
    const startedAt = performance.now();
    await this.#client.command('PING', [], options);
    return performance.now() - startedAt;
  }

  /** Any command, as Redis answers it. */
  command<R extends Reply = Reply>(
    name: string,
    args: readonly (string | Buffer | number)[],
    options?: CallOptions,
  ): Promise<R> {
    return this.#client.command<R>(name, args, options);
  }

  /**
   * The raw driver on a connection of its own, for blocking commands, transactions and what else does not fit
   * a shared connection. Deadline, retry and breaker do not reach it.
   */
  client(): Promise<Native> {
    return this.#native.open();
  }

  #expiry(ttl: Ttl | undefined): number | undefined {
    if (ttl === undefined) return this.#defaultTtlMs;
    return ttl === 'never' ? undefined : parsePositiveDuration(ttl, 'ttl');
  }
}

/** The caller names the type; what is stored is the caller's own. */
function decode<T>(text: string | null): T | undefined {
  return text === null ? undefined : (decodeJson(text) as T);
}
