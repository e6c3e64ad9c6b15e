/**
 * The cache as `cache-manager` 7 offers it, over `CacheService`: times in milliseconds, methods and events by the same
 * names. docs/migrate/cache-manager.md says what differs.
 */
import { EventEmitter } from 'node:events';
import type { CacheOptions, CacheService } from '../cache/index.js';
import { systemClock, type Clock } from '../core/index.js';
import { CompatError } from './compat.errors.js';

export interface CacheManagerOptions {
  /** Expiry of what is stored without one, in milliseconds; 0 for none. @default that of `RedisModule`'s cache */
  ttl?: number | undefined;
  /** So many milliseconds before its end `wrap` loads an entry anew, behind the answer. @default 0 */
  refreshThreshold?: number | undefined;
  /** Name of the cache among those of the application. @default 'cache-manager' */
  namespace?: string | undefined;
  /** @default the namespace */
  cacheId?: string | undefined;
}

export interface WrapOptions<T> {
  ttl?: number | ((value: T) => number) | undefined;
  refreshThreshold?: number | undefined;
}

export type WrapOptionsRaw<T> = WrapOptions<T> & { raw: true };

/** What `raw` asks for: the value, and when it ends, in milliseconds since 1970. */
export interface StoredDataRaw<T> {
  value: T;
  expires?: number | undefined;
}

export interface CacheItem<T> {
  key: string;
  value: T;
  ttl?: number;
}

export interface Events {
  get: (data: { key: string; value?: unknown; error?: unknown }) => void;
  mget: (data: { keys: string[]; values?: unknown[]; error?: unknown }) => void;
  set: (data: { key: string; value: unknown; error?: unknown }) => void;
  mset: (data: { list: CacheItem<unknown>[]; error?: unknown }) => void;
  del: (data: { key: string; error?: unknown }) => void;
  mdel: (data: { keys: string[]; error?: unknown }) => void;
  ttl: (data: { key: string; value?: unknown; error?: unknown }) => void;
  clear: (error?: unknown) => void;
  refresh: (data: { key: string; value: unknown; error?: unknown }) => void;
}

const DEFAULT_NAMESPACE = 'cache-manager';

/** An entry is there for its time and no longer, as it was: what `CacheService` adds on top is left out. */
const AS_IT_WAS: CacheOptions = { staleOnError: '0s', jitter: 0, earlyRefresh: false };

/** Longer than anything lives: whether an entry is in its last moments does not matter to who only reads. */
const WHATEVER_AGE = '1000d';

type CompatTtl = `${number}ms` | 'never';
type Times<T> = Pick<WrapOptions<T>, 'ttl' | 'refreshThreshold'>;

/** `@Inject(CACHE_MANAGER) private readonly cache: Cache`, or by its class: `@Inject(Cache)`. */
export class Cache {
  readonly #cache: CacheService;
  readonly #options: CacheManagerOptions;
  readonly #id: string;
  readonly #clock: Clock;
  readonly #events = new EventEmitter();

  constructor(cache: CacheService, options: CacheManagerOptions = {}, clock: Clock = systemClock) {
    const { namespace = DEFAULT_NAMESPACE, cacheId = namespace } = options;
    this.#cache = cache.namespace<string>(namespace, AS_IT_WAS);
    this.#options = options;
    this.#id = cacheId;
    this.#clock = clock;
  }

  /** `undefined` where there is nothing, and when Redis does not answer in time. */
  async get<T = unknown>(key: string): Promise<T | undefined> {
    const value = await this.#cache.get<T>(key, { stale: WHATEVER_AGE });
    if (value !== undefined) this.#emit('get', { key, value });
    return value;
  }

  async mget<T = unknown>(keys: string[]): Promise<(T | undefined)[]> {
    const values = await this.#cache.getMany<T>(keys, { stale: WHATEVER_AGE });
    this.#emit('mget', { keys, values });
    return values;
  }

  /** `ttl` in milliseconds. */
  async set<T>(key: string, value: T, ttl?: number): Promise<T> {
    await this.#told('set', { key, value }, () => this.#store(key, value, ttl));
    return value;
  }

  async mset<T>(list: CacheItem<T>[]): Promise<CacheItem<T>[]> {
    await this.#told('mset', { list }, () =>
      Promise.all(list.map(({ key, value, ttl }) => this.#store(key, value, ttl))),
    );
    return list;
  }

  async del(key: string): Promise<boolean> {
    await this.#told('del', { key }, () => this.#cache.delete(key));
    return true;
  }

  async mdel(keys: string[]): Promise<boolean> {
    await this.#told('mdel', { keys }, () => this.#cache.deleteMany(keys));
    return true;
  }

  /** Removes what this cache holds, and nothing else of what is in Redis. */
  async clear(): Promise<boolean> {
    try {
      await this.#cache.flush();
    } catch (error) {
      this.#emit('clear', error);
      throw error;
    }
    this.#emit('clear');
    return true;
  }

  /**
   * When the entry ends, in milliseconds since 1970; `undefined` without one, and for one that never does. Of an entry
   * that `wrap` has stored with a `refreshThreshold`: when it is first loaded anew.
   */
  async ttl(key: string): Promise<number | undefined> {
    const left = await this.#cache.ttl(key);
    return typeof left === 'number' ? Math.round(this.#clock.wallNow() + left * 1_000) : undefined;
  }

  /** The value under the key, or what the function says: called once for all processes that ask meanwhile. */
  wrap<T>(
    key: string,
    fnc: () => T | Promise<T>,
    ttl?: number | ((value: T) => number),
    refreshThreshold?: number,
  ): Promise<T>;
  wrap<T>(key: string, fnc: () => T | Promise<T>, options: WrapOptionsRaw<T>): Promise<StoredDataRaw<T>>;
  wrap<T>(key: string, fnc: () => T | Promise<T>, options: WrapOptions<T>): Promise<T>;
  async wrap<T>(
    key: string,
    fnc: () => T | Promise<T>,
    second?: number | ((value: T) => number) | WrapOptions<T>,
    refreshThreshold?: number,
  ): Promise<T | StoredDataRaw<T>> {
    const given = typeof second === 'object' ? second : { ttl: second, refreshThreshold };
    const value = await this.#load(key, fnc, given);
    if (!('raw' in given) || given.raw !== true) return value;
    return { value, expires: await this.ttl(key) };
  }

  on<E extends keyof Events>(event: E, listener: Events[E]): EventEmitter {
    return this.#events.addListener(event, listener);
  }

  off<E extends keyof Events>(event: E, listener: Events[E]): EventEmitter {
    return this.#events.removeListener(event, listener);
  }

  /** The connection belongs to `RedisModule`, which closes it with the application. */
  disconnect(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  cacheId(): string {
    return this.#id;
  }

  async #load<T>(key: string, fnc: () => T | Promise<T>, times: Times<T>): Promise<T> {
    const { ttl } = times;
    const early = thresholdOf(times.refreshThreshold ?? this.#options.refreshThreshold);
    const chosen = typeof ttl === 'function' ? { stale: `${early}ms` as const } : this.#timesOf(ttl, early);
    return this.#cache.getOrSet<T>(
      key,
      async (context) => {
        try {
          const value = await fnc();
          const own = typeof ttl === 'function' ? this.#timesOf(ttl(value), early).ttl : undefined;
          if (own !== undefined) context.setTtl(own);
          if (context.stale !== undefined) this.#emit('refresh', { key, value });
          return value;
        } catch (error) {
          if (context.stale !== undefined) this.#emit('refresh', { key, value: context.stale, error });
          throw error;
        }
      },
      chosen,
    );
  }

  async #store(key: string, value: unknown, ttl: number | undefined): Promise<void> {
    const ms = this.#msOf(ttl);
    await this.#cache.set(key, value, ms === undefined ? {} : { ttl: ttlOf(ms) });
  }

  /** Its last moments an entry is stale: still handed out, and loaded anew by one of those who ask. */
  #timesOf(given: number | undefined, earlyMs: number): { ttl?: CompatTtl; stale?: `${number}ms` } {
    const ms = this.#msOf(given);
    if (ms === undefined) return {};
    if (ms === 0 || earlyMs === 0) return { ttl: ttlOf(ms) };
    const freshMs = Math.max(1, ms - earlyMs);
    return { ttl: ttlOf(freshMs), stale: `${ms - freshMs}ms` };
  }

  /** 0 for no expiry, `undefined` for that of the cache. */
  #msOf(ttl: number | undefined): number | undefined {
    const ms = ttl ?? this.#options.ttl;
    if (ms === undefined) return undefined;
    if (Number.isFinite(ms) && ms >= 0) return ms > 0 ? Math.max(1, Math.round(ms)) : 0;
    throw new CompatError(`ttl: ${String(ms)} is no number of milliseconds`, {
      hint: 'times of cache-manager are milliseconds; 0 is no expiry',
    });
  }

  /** Says it happened, or that it failed, and lets the failure through. */
  async #told<E extends keyof Events>(
    event: E,
    data: Parameters<Events[E]>[0],
    work: () => Promise<unknown>,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#emit(event, { ...(data as object), error });
      throw error;
    }
    this.#emit(event, data);
  }

  #emit(event: keyof Events, data?: unknown): void {
    this.#events.emit(event, data);
  }
}

function ttlOf(ms: number): CompatTtl {
  return ms === 0 ? 'never' : `${ms}ms`;
}

function thresholdOf(ms: unknown): number {
  if (ms === undefined) return 0;
  if (typeof ms === 'number' && ms >= 0 && Number.isFinite(ms)) return Math.round(ms);
  throw new CompatError(`refreshThreshold: a ${typeof ms} is no number of milliseconds`, {
    hint: 'a function of the value is not supported: give the number, or use `stale` of CacheService.getOrSet',
  });
}
