/**
 * The cache as applications use it: read, load, store, invalidate. What has been invalidated, and acknowledged,
 * is never answered again, whoever was loading it meanwhile; and one key is loaded once in the whole fleet.
 */
import type { Key, Ttl } from '../connection/index.js';
import { parseDuration, telemetryChannel, type Duration, type TelemetryChannel } from '../core/index.js';
import { BatchLoader, type ManyLoader } from './batch-loader.js';
import { createEngine, type CacheEngine, type CacheSurroundings } from './cache-engine.js';
import { InvalidCacheOptionsError } from './cache.errors.js';
import { CACHE_DEFAULTS, resolveCache, ttlOf, type CacheOptions } from './cache.options.js';
import type { CacheStats } from './cache-stats.js';
import { CacheWriter } from './cache-writer.js';
import {
  resolveLoad,
  type CacheOutcome,
  type CacheSetOptions,
  type GetOptions,
  type Loader,
  type LoadOptions,
  type ReadOptions,
  type ResolvedLoad,
} from './call.options.js';
import { isDueEarly } from './early-refresh.js';
import { explainKey, type Explanation } from './explain.js';
import type { Answer, LoadRequest } from './flight.js';
import { LoadSlots } from './load-slots.js';
import type { Reading } from './reader.js';
import { isCounter, type CacheEntry } from './store.js';
import { freshness, staleFor } from './validity.js';

/**
 * What named caches hold. Extend it and `namespace('books')` knows its values:
 * `declare module '@anbar/nestjs-redis/cache' { interface CacheTypes { books: Book } }`
 */
export interface CacheTypes {}

export type CacheValue<Name extends string> = Name extends keyof CacheTypes ? CacheTypes[Name] : unknown;

const DEFAULT_NAME = 'default';
const DEFAULT_DRAIN_MS = 2_000;

/** What a read comes to: an answer, or what is left for a load to go on with. */
interface Look {
  readonly answer: Answer | undefined;
  readonly stale: CacheEntry | undefined;
  readonly unreachable: boolean;
}

interface Shared {
  readonly surroundings: CacheSurroundings;
  readonly options: CacheOptions;
  readonly slots: LoadSlots;
  readonly caches: Map<string, CacheService>;
}

export class CacheService<Value = unknown> {
  readonly name: string;
  readonly #shared: Shared;
  readonly #engine: CacheEngine;
  readonly #writer: CacheWriter;
  readonly #telemetry: TelemetryChannel = telemetryChannel('cache');
  #closing: Promise<void> | undefined;

  constructor(
    surroundings: CacheSurroundings,
    options: CacheOptions = {},
    place?: { name: string; shared: Shared },
  ) {
    const settings = resolveCache(options);
    this.name = place?.name ?? DEFAULT_NAME;
    this.#shared = place?.shared ?? {
      surroundings,
      options,
      slots: new LoadSlots(settings.maxLoads),
      caches: new Map(),
    };
    if (place === undefined) this.#shared.caches.set(this.name, this);
    this.#engine = createEngine(surroundings, {
      name: this.name,
      settings,
      slots: this.#slotsFor(options),
      report: (what, outcome) => this.#publish(what, outcome),
    });
    this.#writer = new CacheWriter(this.#engine);
  }

  // -- life -------------------------------------------------------------------------------------------------

  connect(options?: { timeout?: Duration }): Promise<void> {
    return this.#engine.client.connect(options);
  }

  /** Lets loads under way finish for at most `drain`, aborts the rest, and stops listening. @default '2s' */
  disconnect(options: { drain?: Duration } = {}): Promise<void> {
    this.#closing ??= this.#close(
      options.drain === undefined ? DEFAULT_DRAIN_MS : parseDuration(options.drain, 'drain'),
    );
    return this.#closing;
  }

  /**
   * A cache of its own name, with keys, tags' reach, counters and options of its own; the options complete
   * those of this one. The same name is the same cache: options count when it is first asked for.
   */
  namespace<Name extends string>(name: Name, options: CacheOptions = {}): CacheService<CacheValue<Name>> {
    const { caches, surroundings } = this.#shared;
    let cache = caches.get(name);
    if (cache === undefined) {
      const place = { name, shared: this.#shared };
      cache = new CacheService(surroundings, { ...this.#shared.options, ...options }, place);
      caches.set(name, cache);
    }
    return typed<CacheValue<Name>>(cache);
  }

  // -- values -----------------------------------------------------------------------------------------------

  /** The value, or `undefined` when there is none, it has expired, or Redis does not answer. */
  async get<T = Value>(key: Key, options: GetOptions = {}): Promise<T | undefined> {
    const staleMs = options.stale === undefined ? 0 : parseDuration(options.stale, 'stale');
    const { answer } = await this.#look(this.#engine.keys.value(key), { ...options, staleMs });
    if (answer === undefined) this.#engine.counters.add('misses');
    this.#answered(answer?.outcome ?? 'miss', options);
    return answer?.value as T | undefined;
  }

  /** Values in the order of the keys, in one round trip per node. */
  getMany<T = Value>(keys: readonly Key[], options?: GetOptions): Promise<(T | undefined)[]> {
    return Promise.all(keys.map((key) => this.get<T>(key, options)));
  }

  /** `undefined` is no value: nothing is stored and nothing removed. @returns whether it was stored */
  set(key: Key, value: Value, options: Ttl | CacheSetOptions = {}): Promise<boolean> {
    return this.#writer.set(key, value, setOptions(options));
  }

  /** Each is stored on its own: this is not a transaction. */
  async setMany(
    entries: Iterable<readonly [Key, Value]>,
    options: Ttl | CacheSetOptions = {},
  ): Promise<void> {
    await Promise.all([...entries].map(([key, value]) => this.set(key, value, options)));
  }

  /** @returns whether there was something to delete */
  async delete(key: Key, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    return (await this.#writer.remove([key], options.signal)) > 0;
  }

  /** @returns how many there were */
  async deleteMany(keys: readonly Key[], options: { signal?: AbortSignal } = {}): Promise<number> {
    return this.#writer.remove(keys, options.signal);
  }

  async has(key: Key, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    const full = this.#engine.keys.value(key);
    const [{ answer }, hash] = await Promise.all([
      this.#look(full, { ...options, staleMs: 0 }),
      this.#engine.structures.isHash(full, options).catch((error: unknown) => this.#missing(error, false)),
    ]);
    return answer !== undefined || hash;
  }

  // -- loads ------------------------------------------------------------------------------------------------

  /** The value under the key, or what the loader says, which is stored for the next who asks. */
  async getOrSet<T = Value>(key: Key, loader: Loader<T>, options: LoadOptions = {}): Promise<T> {
    if (typeof loader !== 'function') {
      throw new InvalidCacheOptionsError(`getOrSet: the loader is ${typeof loader} and not a function`);
    }
    const call = resolveLoad(options, this.#engine.settings);
    const answer = await this.#answerOrLoad({ key, loader, call, options });
    return answer.value as T;
  }

  /**
   * As `getOrSet` for many keys, with one call of the loader for all that are missing. It answers in the order
   * of the keys it was given, or with a `Map` by those very keys; `undefined` stores nothing.
   */
  async getOrSetMany<T = Value>(
    keys: readonly Key[],
    loader: ManyLoader<T>,
    options: LoadOptions = {},
  ): Promise<(T | undefined)[]> {
    const { settings, slots, keys: names } = this.#engine;
    const call = resolveLoad(options, settings);
    const reads = await Promise.all(
      keys.map(async (key) => {
        const full = names.value(key);
        return { key, full, look: await this.#lookBeforeLoad(full, call, options) };
      }),
    );
    const missing = reads.filter(({ look }) => look.answer === undefined);
    const batch = new BatchLoader(loader, missing.length, slots);
    const answers = reads.map((read) => {
      const { key, full, look } = read;
      const request = requestOf({ key, full, call, look, options });
      if (look.answer !== undefined) {
        return Promise.resolve(this.#settled(look, () => this.#refreshOne(request, loader), options));
      }
      const index = missing.indexOf(read);
      const onDecided = (): void => batch.decided(index);
      return this.#load({ ...request, loader: batch.loaderOf(index), batched: true, onDecided }, options);
    });
    return (await Promise.all(answers)).map(({ value }) => value as T | undefined);
  }

  // -- invalidation -----------------------------------------------------------------------------------------

  /**
   * Everything stored under one of these tags is gone when this has settled, in all caches of the namespace:
   * what was being loaded meanwhile too. Rejects when Redis did not do it.
   */
  async invalidateTags(tags: string | readonly string[]): Promise<void> {
    await this.#writer.invalidateTags(typeof tags === 'string' ? [tags] : tags);
  }

  /** Removes what begins with these segments, or with this string. @returns how many values there were */
  async deletePrefix(prefix: Key): Promise<number> {
    return this.#writer.removeUnder(prefix);
  }

  /** Empties this cache: logically at once, then key by key. @returns how many values were removed */
  flush(): Promise<number> {
    return this.#writer.flush();
  }

  // -- expiry, counters, hashes -----------------------------------------------------------------------------

  /** @returns whether there was something to expire */
  async expire(key: Key, ttl: Ttl, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    return this.#writer.expire(key, ttlOf(ttl), options.signal);
  }

  /** Seconds left, with fractions; `'never'` without an expiry, `undefined` without a value. */
  async ttl(key: Key, options: { signal?: AbortSignal } = {}): Promise<number | 'never' | undefined> {
    const { reader, keys, structures, clock } = this.#engine;
    const full = keys.value(key);
    const { found, current } = await reader.read(full, options);
    if (found === undefined || isCounter(found.entry)) {
      const left = await structures.left(full, options);
      return typeof left === 'number' ? left / 1_000 : left;
    }
    const now = clock.wallNow();
    if (!current || freshness(found.entry, now) !== 'fresh') return undefined;
    const { softExpiresAt } = found.entry;
    return softExpiresAt === undefined ? 'never' : (softExpiresAt - now) / 1_000;
  }

  /** Counts from 0 where there is nothing. A new counter gets its expiry; counting on does not renew it. */
  async incr(key: Key, amount = 1, options: Ttl | CacheSetOptions = {}): Promise<number> {
    return this.#writer.increment(key, amount, setOptions(options));
  }

  /** Sets one field, or several. A new hash gets its expiry. @returns how many fields are new */
  hset(key: Key, field: string, value: unknown, options?: Ttl | CacheSetOptions): Promise<number>;
  hset(key: Key, fields: Readonly<Record<string, unknown>>, options?: Ttl | CacheSetOptions): Promise<number>;
  async hset(
    key: Key,
    first: string | Readonly<Record<string, unknown>>,
    second?: unknown,
    third?: Ttl | CacheSetOptions,
  ): Promise<number> {
    const single = typeof first === 'string';
    const options = single ? third : (second as Ttl | CacheSetOptions | undefined);
    const fields = single ? [[first, second] as const] : Object.entries(first);
    const given = fields.filter(([, value]) => value !== undefined);
    if (given.length === 0) return 0;
    return this.#writer.hashSet(key, given, setOptions(options ?? {}));
  }

  async hget<T = unknown>(
    key: Key,
    field: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<T | undefined> {
    const { structures, keys } = this.#engine;
    const full = keys.value(key);
    const value = await structures
      .hashGet(full, field, options)
      .catch((error: unknown) => this.#missing(error, undefined));
    return value as T | undefined;
  }

  // -- insight ----------------------------------------------------------------------------------------------

  /** Where a key is, how old, how long still, under which tags, who loads it, and why it answers as it does. */
  async explain(key: Key): Promise<Explanation> {
    return explainKey(this.#engine, key);
  }

  stats(): CacheStats {
    return this.#engine.counters.snapshot();
  }

  // -- within -----------------------------------------------------------------------------------------------

  async #answerOrLoad<T>(wanted: {
    key: Key;
    loader: Loader<T>;
    call: ResolvedLoad;
    options: LoadOptions;
  }): Promise<Answer> {
    const { key, loader, call, options } = wanted;
    const full = this.#engine.keys.value(key);
    const look = await this.#lookBeforeLoad(full, call, options);
    const request = { ...requestOf({ key, full, call, look, options }), loader: untyped(loader) };
    if (look.answer !== undefined)
      return this.#settled(look, () => this.#engine.loads.refresh(request), options);
    return this.#load(request, options);
  }

  /** An answer at hand; when it will not last, a new one is loaded behind it. */
  #settled(look: Look, refresh: () => void, options: ReadOptions): Answer {
    const answer = look.answer ?? { value: undefined, outcome: 'miss' };
    if (look.stale !== undefined) refresh();
    this.#answered(answer.outcome, options);
    return answer;
  }

  async #load(request: LoadRequest, options: ReadOptions): Promise<Answer> {
    const { loads, counters } = this.#engine;
    counters.add('misses');
    const answer = await loads.join(request);
    this.#answered(answer.outcome, options);
    return answer;
  }

  #refreshOne<T>(request: LoadRequest, loader: ManyLoader<T>): void {
    const { loads, slots } = this.#engine;
    const batch = new BatchLoader(loader, 1, slots);
    loads.refresh({ ...request, loader: batch.loaderOf(0), batched: true });
  }

  /** An answer that is fresh, or stale and within bounds; `stale` beside it asks for a refresh. */
  async #lookBeforeLoad(full: string, call: ResolvedLoad, options: ReadOptions): Promise<Look> {
    const { settings, clock, random } = this.#engine;
    const look = await this.#look(full, { ...options, staleMs: call.staleMs });
    if (look.answer === undefined || look.answer.outcome === 'stale' || !settings.earlyRefresh) return look;
    const due = look.entry !== undefined && isDueEarly(look.entry, clock.wallNow(), random);
    return due ? { ...look, stale: look.entry } : look;
  }

  async #look(
    full: string,
    options: ReadOptions & { staleMs: number },
  ): Promise<Look & { entry?: CacheEntry }> {
    const { reader, clock } = this.#engine;
    let reading: Reading;
    try {
      const read = reader.read(full, options);
      reading = read instanceof Promise ? await read : read;
    } catch (error) {
      if (options.signal?.aborted === true) throw error;
      return this.#missing(error, { answer: undefined, stale: undefined, unreachable: true });
    }
    const { found, current } = reading;
    if (found === undefined || !current) return MISSING;
    const { entry, tier } = found;
    const now = clock.wallNow();
    const state = freshness(entry, now);
    if (state === 'fresh') {
      const outcome = entry.negative ? 'negative' : tier;
      this.#engine.counters.answered(tier);
      if (entry.negative) this.#engine.counters.answered('negative');
      return { answer: { value: entry.value, outcome }, stale: undefined, unreachable: false, entry };
    }
    if (state === 'expired') return MISSING;
    if (staleFor(entry, now) > options.staleMs)
      return { answer: undefined, stale: entry, unreachable: false };
    return { answer: { value: entry.value, outcome: 'stale' }, stale: entry, unreachable: false };
  }

  /** Redis failed, and a read does without it; unless the cache is strict. */
  #missing<T>(error: unknown, otherwise: T): T {
    this.#engine.counters.add('failures');
    if (this.#engine.settings.strict) throw error;
    return otherwise;
  }

  #answered(outcome: CacheOutcome, options: ReadOptions): void {
    if (outcome === 'stale') this.#engine.counters.answered('stale');
    options.onOutcome?.(outcome);
    this.#publish('read', outcome);
  }

  #publish(what: string, outcome: string): void {
    if (!this.#telemetry.active) return;
    this.#telemetry.publish({ name: `cache.${what}`, subject: this.name, outcome });
  }

  /** All caches of the application share the cap, but one that sets its own. */
  #slotsFor(options: CacheOptions): LoadSlots {
    const own = options.maxLoads ?? CACHE_DEFAULTS.maxLoads;
    const common = this.#shared.options.maxLoads ?? CACHE_DEFAULTS.maxLoads;
    return own === common ? this.#shared.slots : new LoadSlots(own);
  }

  async #close(drainMs: number): Promise<void> {
    await this.#engine.close(drainMs);
    const { caches, surroundings } = this.#shared;
    if (caches.get(DEFAULT_NAME) !== typed(this)) return;
    await Promise.all(
      [...caches.values()].filter((cache) => cache !== typed(this)).map((cache) => cache.disconnect()),
    );
    if (surroundings.ownsClient === true) await surroundings.client.disconnect();
  }
}

const MISSING: Look = { answer: undefined, stale: undefined, unreachable: false };

function requestOf(wanted: {
  key: Key;
  full: string;
  call: ResolvedLoad;
  look: Look;
  options: ReadOptions;
}): LoadRequest {
  const { key, full, call, look, options } = wanted;
  return {
    key: full,
    userKey: key,
    loader: () => undefined,
    options: call,
    stale: look.stale,
    signal: options.signal,
    unreachable: look.unreachable,
    batched: false,
    onDecided: undefined,
  };
}

/** What a loader of `T` is told is stale is what it once returned. */
function untyped<T>(loader: Loader<T>): Loader<unknown> {
  return loader as Loader<unknown>;
}

function setOptions(options: Ttl | CacheSetOptions): CacheSetOptions {
  return typeof options === 'object' ? options : { ttl: options };
}

/** What a named cache holds is the application's word; a cache itself holds anything. */
function typed<Value>(cache: CacheService): CacheService<Value> {
  return cache;
}
