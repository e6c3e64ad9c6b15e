/**
 * What a cache offers, whatever stands behind it: one Redis, several shards, or Redis with a fallback. Code that is
 * written for this takes any of them.
 */
import type { Key, Ttl } from '../connection/index.js';
import type { Duration } from '../core/index.js';
import type { ManyLoader } from './loading/batch-loader.js';
import type { CacheOptions } from './cache.options.js';
import type { CacheStats } from './cache-stats.js';
import type { CacheSetOptions, GetOptions, Loader, LoadOptions } from './call.options.js';
import type { Explanation } from './explain.js';

/**
 * What named caches hold. Extend it and `namespace('books')` knows its values:
 * `declare module '@anbar/nestjs-redis/cache' { interface CacheTypes { books: Book } }`
 */
export interface CacheTypes {}

export type CacheValue<Name extends string> = Name extends keyof CacheTypes ? CacheTypes[Name] : unknown;

export interface CacheContract<Value = unknown> {
  readonly name: string;

  connect(options?: { timeout?: Duration }): Promise<void>;
  /** Lets loads under way finish for at most `drain`, aborts the rest, and stops listening. @default '2s' */
  disconnect(options?: { drain?: Duration }): Promise<void>;
  /** A cache of its own name; the same name is the same cache. */
  namespace<Name extends string>(name: Name, options?: CacheOptions): CacheContract<CacheValue<Name>>;

  /** The value, or `undefined` when there is none. */
  get<T = Value>(key: Key, options?: GetOptions): Promise<T | undefined>;
  /** A fresh value that this process holds; `undefined` where Redis would have to be asked. Nothing waits. */
  held<T = Value>(key: Key): T | undefined;
  /** Values in the order of the keys. */
  getMany<T = Value>(keys: readonly Key[], options?: GetOptions): Promise<(T | undefined)[]>;
  /** `undefined` is no value: nothing is stored and nothing removed. @returns whether it was stored */
  set(key: Key, value: Value, options?: Ttl | CacheSetOptions): Promise<boolean>;
  /** Each is stored on its own: this is not a transaction. */
  setMany(entries: Iterable<readonly [Key, Value]>, options?: Ttl | CacheSetOptions): Promise<void>;
  /** @returns whether there was something to delete */
  delete(key: Key, options?: { signal?: AbortSignal }): Promise<boolean>;
  /** @returns how many there were */
  deleteMany(keys: readonly Key[], options?: { signal?: AbortSignal }): Promise<number>;
  has(key: Key, options?: { signal?: AbortSignal }): Promise<boolean>;

  /** The value under the key, or what the loader says, which is stored for the next who asks. */
  getOrSet<T = Value>(key: Key, loader: Loader<T>, options?: LoadOptions): Promise<T>;
  /** As `getOrSet` for many keys, with one call of the loader for all that are missing. */
  getOrSetMany<T = Value>(
    keys: readonly Key[],
    loader: ManyLoader<T>,
    options?: LoadOptions,
  ): Promise<(T | undefined)[]>;

  /** Everything stored under one of these tags is gone when this has settled. */
  invalidateTags(tags: string | readonly string[]): Promise<void>;
  /** Removes what begins with these segments, or with this string. @returns how many values there were */
  deletePrefix(prefix: Key): Promise<number>;
  /** Empties this cache. @returns how many values were removed */
  flush(): Promise<number>;

  /** @returns whether there was something to expire */
  expire(key: Key, ttl: Ttl, options?: { signal?: AbortSignal }): Promise<boolean>;
  /** Seconds left, with fractions; `'never'` without an expiry, `undefined` without a value. */
  ttl(key: Key, options?: { signal?: AbortSignal }): Promise<number | 'never' | undefined>;
  /** Counts from 0 where there is nothing. A new counter gets its expiry; counting on does not renew it. */
  incr(key: Key, amount?: number, options?: Ttl | CacheSetOptions): Promise<number>;
  /** Sets one field, or several. A new hash gets its expiry. @returns how many fields are new */
  hset(key: Key, field: string, value: unknown, options?: Ttl | CacheSetOptions): Promise<number>;
  hset(key: Key, fields: Readonly<Record<string, unknown>>, options?: Ttl | CacheSetOptions): Promise<number>;
  hget<T = unknown>(key: Key, field: string, options?: { signal?: AbortSignal }): Promise<T | undefined>;

  /** Where a key is, how old, how long still, under which tags, and why it answers as it does. */
  explain(key: Key): Promise<Explanation>;
  stats(): CacheStats;
}
