/**
 * The cache as applications use it: read, load, store, invalidate. What has been invalidated, and acknowledged,
 * is never answered again, whoever was loading it meanwhile; and one key is loaded once in the whole fleet.
 */
import type { CodecStats } from '../codec/index.js';
import type { Key, Ttl } from '../connection/index.js';
import { type Duration, inBatches, parseDuration, spans } from '../core/index.js';
import { BatchLoader, type ManyLoader } from './loading/batch-loader.js';
import type { CacheContract, CacheValue } from './cache-contract.js';
import { createEngine, type CacheEngine, type CacheSurroundings } from './cache-engine.js';
import { CacheEvents, codeOf } from './cache-events.js';
import { MemorySampler, type CacheMemory } from './cache-memory.js';
import { InvalidCacheOptionsError } from './cache.errors.js';
import { CACHE_DEFAULTS, completed, resolveCache, ttlOf, type CacheOptions } from './cache.options.js';
import type { CacheServiceStats } from './cache-stats.js';
import { CacheWriter } from './cache-writer.js';
import {
  ANEW,
  DECIDED,
  resolveLoad,
  type CacheOutcome,
  type CacheSetOptions,
  type GetOptions,
  type Loader,
  type LoadOptions,
  type ReadOptions,
  type ResolvedLoad,
} from './call.options.js';
import { isDueEarly } from './loading/early-refresh.js';
import { explainKey, type Explanation } from './explain.js';
import type { Answer, LoadRequest } from './loading/flight.js';
import { lastKnown } from './l1/last-known.js';
import { LoadSlots } from './loading/load-slots.js';
import type { Reading } from './reader.js';
import { isCounter, type CacheEntry } from './store.js';
import { freshness, isServable } from './validity.js';

const DEFAULT_NAME = 'default';
const DEFAULT_DRAIN_MS = 2_000;
/** Of a load of many keys each lease lasts that much longer for each of them: all have to be asked for and renewed. */
const LEASE_MS_PER_KEY = 1;

/** What a read comes to: an answer, or what is left for a load to go on with. */
interface Look {
  readonly answer: Answer | undefined;
  readonly stale: CacheEntry | undefined;
  readonly unreachable: boolean;
  /** What the answer came from, when it is fresh. */
  readonly entry: CacheEntry | undefined;
}

/** A call of `getOrSet`. */
interface Wanted<T> {
  readonly key: Key;
  readonly full: string;
  readonly loader: Loader<T>;
  readonly call: ResolvedLoad;
  readonly options: LoadOptions;
  readonly startedAt: number;
  readonly beganAt: number;
}

/** A call of `getOrSetMany`. */
interface Many {
  readonly count: number;
  readonly call: ResolvedLoad;
  readonly options: LoadOptions;
  readonly beganAt: number;
  readonly missing: BatchLoader;
  readonly due: BatchLoader;
}

interface OneOfMany {
  readonly key: Key;
  readonly full: string;
  readonly index: number;
}

/** What besides a fresh value will do. */
interface Bounds {
  readonly staleMs: number;
  /** Of those who have a loader. */
  readonly staleOnErrorMs?: number;
}

interface Shared {
  readonly surroundings: CacheSurroundings;
  readonly options: CacheOptions;
  readonly slots: LoadSlots;
  readonly caches: Map<string, CacheService>;
}

export class CacheService<Value = unknown> implements CacheContract<Value> {
  readonly name: string;
  readonly #shared: Shared;
  readonly #engine: CacheEngine;
  readonly #writer: CacheWriter;
  readonly #events: CacheEvents;
  readonly #memory: MemorySampler;
  /** For calls that have no options of their own. */
  readonly #plainLoad: ResolvedLoad;
  #closing: Promise<void> | undefined;

  constructor(
    surroundings: CacheSurroundings,
    options: CacheOptions = {},
    place?: { name: string; shared: Shared },
  ) {
    const settings = resolveCache(options);
    this.name = place?.name ?? DEFAULT_NAME;
    this.#events = new CacheEvents(this.name, surroundings.isPart);
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
      report: (what, outcome, detail) => this.#events.tell(what, outcome, detail),
    });
    this.#memory = new MemorySampler(this.#engine);
    this.#writer = new CacheWriter(this.#engine, this.#events);
    this.#plainLoad = resolveLoad({}, settings);
  }

  // -- life -------------------------------------------------------------------------------------------------

  connect(options?: { timeout?: Duration }): Promise<void> {
    return this.#engine.client.connect(options);
  }

  /**
   * Lets loads under way finish for at most `drain`, aborts the rest, and stops listening. With the cache go those that
   * are named in it. @default '2s'
   */
  disconnect(options: { drain?: Duration } = {}): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    const drainMs = options.drain === undefined ? DEFAULT_DRAIN_MS : parseDuration(options.drain, 'drain');
    const caches: readonly CacheService[] = this.#isNamed ? [typed(this)] : [...this.#shared.caches.values()];
    const closing = this.#close(caches, drainMs);
    for (const cache of caches) cache.#closing ??= closing;
    return closing;
  }

  /**
   * A cache of its own name, with keys, tags' reach, counters and options of its own; what is left out is as in
   * `cache`. Names do not nest, and the same name is the same cache: options count when it is first asked for.
   */
  namespace<Name extends string>(name: Name, options: CacheOptions = {}): CacheService<CacheValue<Name>> {
    const { caches, surroundings } = this.#shared;
    let cache = caches.get(name);
    if (cache === undefined) {
      const place = { name, shared: this.#shared };
      cache = new CacheService(surroundings, completed(options, this.#shared.options), place);
      caches.set(name, cache);
    }
    return typed<CacheValue<Name>>(cache);
  }

  // -- values -----------------------------------------------------------------------------------------------

  /** The value, or `undefined` when there is none, it has expired, or Redis does not answer. */
  get<T = Value>(key: Key, options: GetOptions = NO_OPTIONS): Promise<T | undefined> {
    try {
      const { stale } = options;
      const bounds = stale === undefined ? FRESH : { staleMs: parseDuration(stale, 'stale') };
      const full = this.#engine.keys.value(key);
      const reading = this.#engine.reader.read(full, options);
      if (!(reading instanceof Promise)) {
        const look = this.#judge(reading, bounds.staleMs);
        return Promise.resolve(this.#gotten<T>(look, options, full, 0));
      }
      const startedAt = this.#listenedSince();
      const next = (look: Look): T | undefined => this.#gotten<T>(look, options, full, startedAt);
      return this.#whenRead(reading, { full, options, bounds }, next);
    } catch (error) {
      return rejected(error);
    }
  }

  /**
   * A fresh value that the near cache holds, at once; counted as a hit. `undefined` says nothing but that somebody
   * would have to be asked: Redis, or a loader that is due to make it anew.
   */
  held<T = Value>(key: Key): T | undefined {
    const full = this.#engine.keys.value(key);
    const reading = this.#engine.reader.held(full);
    if (reading?.found === undefined || !reading.current) return undefined;
    const { entry } = reading.found;
    if (entry.negative || this.#isDue(entry)) return undefined;
    const { answer } = this.#judge(reading, 0);
    if (answer !== undefined && this.#events.active)
      this.#tellRead(answer.outcome, full, this.#listenedSince());
    return answer?.value as T | undefined;
  }

  /** Values in the order of the keys, in one round trip per node. */
  getMany<T = Value>(keys: readonly Key[], options?: GetOptions): Promise<(T | undefined)[]> {
    return inBatches(keys, (key) => this.get<T>(key, options));
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
    await inBatches([...entries], ([key, value]) => this.set(key, value, options));
  }

  /** @returns whether there was something to delete */
  async delete(key: Key, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    const change = { by: 'delete', key };
    return (await this.#invalidating(change, () => this.#writer.remove([key], options.signal))) > 0;
  }

  /** @returns how many there were */
  async deleteMany(keys: readonly Key[], options: { signal?: AbortSignal } = {}): Promise<number> {
    return this.#invalidating({ by: 'deleteMany' }, () => this.#writer.remove(keys, options.signal));
  }

  async has(key: Key, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    const full = this.#engine.keys.value(key);
    const [{ answer }, hash] = await Promise.all([
      this.#look(full, options, FRESH),
      this.#engine.structures.isHash(full, options).catch((error: unknown) => this.#missing(error, false)),
    ]);
    return answer !== undefined || hash;
  }

  // -- loads ------------------------------------------------------------------------------------------------

  /** The value under the key, or what the loader says, which is stored for the next who asks. */
  getOrSet<T = Value>(key: Key, loader: Loader<T>, options: LoadOptions = NO_OPTIONS): Promise<T> {
    try {
      if (typeof loader !== 'function') throw noLoader(loader);
      const call = options === NO_OPTIONS ? this.#plainLoad : resolveLoad(options, this.#engine.settings);
      const full = this.#engine.keys.value(key);
      const wanted = { key, full, loader, call, options, startedAt: this.#listenedSince(), beganAt: NEVER };
      if (options[ANEW] === true)
        return this.#loadOrRefresh({ ...wanted, beganAt: this.#engine.clock.now() }, MISSING);
      const reading = this.#engine.reader.read(full, options);
      if (!(reading instanceof Promise))
        return Promise.resolve(this.#answerOrLoad(wanted, this.#judge(reading, call.staleMs)));
      wanted.beganAt = this.#engine.clock.now();
      const next = (look: Look): T | Promise<T> => this.#answerOrLoad(wanted, look);
      return this.#whenRead(reading, { full, options, bounds: call }, next);
    } catch (error) {
      return rejected(error);
    }
  }

  /**
   * As `getOrSet` for many keys, with one call of the loader for all that are missing, and one behind the answer for
   * all that are to be refreshed. It answers in the order of the keys it was given, or with a `Map` by those very
   * keys; `undefined` stores nothing.
   */
  async getOrSetMany<T = Value>(
    keys: readonly Key[],
    loader: ManyLoader<T>,
    options: LoadOptions = {},
  ): Promise<(T | undefined)[]> {
    const { slots, clock, keys: names, settings } = this.#engine;
    const startedAt = this.#listenedSince();
    const plan = { slots, clock, cache: this.name };
    const many: Many = {
      count: keys.length,
      call: resolveLoad(options, settings),
      options,
      beganAt: clock.now(),
      missing: new BatchLoader(loader, keys.length, plan),
      due: new BatchLoader(loader, keys.length, { ...plan, refresh: true }),
    };
    const wanted = keys.map((key, index) => ({ key, full: names.value(key), index }));
    const settled = await many.missing.outcomesOf(wanted, (one) => this.#oneOfMany(many, one));
    if (this.#events.active)
      settled.forEach(({ outcome }, i) => this.#tellRead(outcome, wanted[i]?.full ?? '', startedAt));
    return settled.map(({ value }) => value as T | undefined);
  }

  async #oneOfMany(many: Many, { key, full, index }: OneOfMany): Promise<Answer> {
    const { call, options, beganAt, missing, due } = many;
    let refreshing = false;
    try {
      const look = await this.#lookBeforeLoad(full, call, options);
      const own = requestOf({ key, full, call, look, options, beganAt });
      const request = { ...own, batched: true, moreLeaseMs: many.count * LEASE_MS_PER_KEY };
      if (look.answer === undefined) {
        const loader = missing.loaderOf(index);
        const onDecided = (): void => missing.decided(index);
        const onUndecided = (): void => missing.undecided(index);
        return await this.#load({ ...request, loader, onDecided, onUndecided }, options);
      }
      const refresh = (): void => {
        refreshing = true;
        const onDecided = (): void => due.decided(index);
        this.#engine.loads.refresh({ ...request, loader: due.loaderOf(index), onDecided });
      };
      return this.#settled(look, refresh, options);
    } finally {
      missing.decided(index);
      if (!refreshing) due.decided(index);
    }
  }

  // -- invalidation -----------------------------------------------------------------------------------------

  /**
   * Everything stored under one of these tags is gone when this has settled, in all caches of the namespace:
   * what was being loaded meanwhile too. Rejects when Redis did not do it.
   */
  async invalidateTags(tags: string | readonly string[]): Promise<void> {
    const all = typeof tags === 'string' ? [tags] : tags;
    await this.#invalidating({ by: 'tags' }, () => this.#writer.invalidateTags(all));
  }

  /** Removes what begins with these segments, or with this string. @returns how many values there were */
  async deletePrefix(prefix: Key): Promise<number> {
    return this.#invalidating({ by: 'prefix' }, () => this.#writer.removeUnder(prefix));
  }

  /** Empties this cache: logically at once, then key by key. @returns how many values were removed */
  flush(): Promise<number> {
    return this.#invalidating({ by: 'flush' }, () => this.#writer.flush());
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

  /** All caches of the namespace that were asked for so far, this one among them. */
  get caches(): ReadonlyMap<string, CacheService> {
    return this.#shared.caches;
  }

  stats(): CacheServiceStats {
    return { ...this.#engine.counters.snapshot(), l1: this.#engine.l1Stats() };
  }

  /** What the codec could not read, and which keys of encryption are still needed. */
  codecStats(): CodecStats {
    return this.#engine.codec.stats();
  }

  /** The memory this cache takes in Redis, by sampling; the same answer for some seconds. */
  memory(): Promise<CacheMemory> {
    return this.#memory.read();
  }

  // -- within -----------------------------------------------------------------------------------------------

  #gotten<T>({ answer }: Look, options: GetOptions, full: string, startedAt: number): T | undefined {
    if (answer === undefined) this.#engine.counters.add('misses');
    const outcome = answer?.outcome ?? 'miss';
    this.#answered(outcome, options);
    if (this.#events.active) this.#tellRead(outcome, full, startedAt);
    return answer?.value as T | undefined;
  }

  #answerOrLoad<T>(wanted: Wanted<T>, first: Look): T | Promise<T> {
    const look = this.#dueOrNot(first);
    const { answer } = look;
    if (answer === undefined || look.stale !== undefined) return this.#loadOrRefresh(wanted, look);
    this.#answered(answer.outcome, wanted.options);
    if (this.#events.active) this.#tellRead(answer.outcome, wanted.full, wanted.startedAt);
    return answer.value as T;
  }

  async #loadOrRefresh<T>(wanted: Wanted<T>, look: Look): Promise<T> {
    const { key, full, loader, call, options, beganAt } = wanted;
    const request = requestOf({ key, full, call, look, options, beganAt, loader: untyped(loader) });
    const answer =
      look.answer === undefined
        ? await this.#load(request, options)
        : this.#settled(look, () => this.#engine.loads.refresh(request), options);
    if (this.#events.active) this.#tellRead(answer.outcome, full, wanted.startedAt);
    return answer.value as T;
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

  /** An answer that is fresh, or stale and within bounds; `stale` beside it asks for a refresh. */
  #lookBeforeLoad(full: string, call: ResolvedLoad, options: ReadOptions): Look | Promise<Look> {
    const look = this.#look(full, options, call);
    return look instanceof Promise ? look.then((later) => this.#dueOrNot(later)) : this.#dueOrNot(look);
  }

  #dueOrNot(look: Look): Look {
    const { entry } = look;
    if (entry === undefined || look.stale !== undefined) return look;
    return this.#isDue(entry) ? { ...look, stale: entry } : look;
  }

  #isDue(entry: CacheEntry): boolean {
    const { settings, clock, random } = this.#engine;
    return entry.loadMs > 0 && settings.earlyRefresh && isDueEarly(entry, clock.wallNow(), random);
  }

  /** At once when the entry is held in this process. */
  #look(full: string, options: ReadOptions, bounds: Bounds): Look | Promise<Look> {
    const reading = this.#engine.reader.read(full, options);
    if (!(reading instanceof Promise)) return this.#judge(reading, bounds.staleMs);
    return this.#whenRead(reading, { full, options, bounds }, (look) => look);
  }

  /** One step for all that is done with an answer of Redis: each further one would cost as much as they do. */
  #whenRead<R>(
    reading: Promise<Reading>,
    { full, options, bounds }: { full: string; options: ReadOptions; bounds: Bounds },
    onLook: (look: Look) => R | Promise<R>,
  ): Promise<R> {
    return reading.then(
      (read) => onLook(this.#judge(read, bounds.staleMs)),
      (error: unknown) => onLook(this.#unread(full, error, bounds, options)),
    );
  }

  #unread(full: string, error: unknown, { staleOnErrorMs }: Bounds, { signal }: ReadOptions): Look {
    if (signal?.aborted === true) throw error;
    return this.#missing(error, this.#unreachable(full, error, staleOnErrorMs));
  }

  /** A copy that was right when Redis was last heard of; beside it, at times, what is to be loaded anew. */
  #unreachable(full: string, error: unknown, staleOnErrorMs?: number): Look {
    const { settings } = this.#engine;
    const known = lastKnown(this.#engine, full, {
      error,
      withinMs: staleOnErrorMs ?? settings.staleOnErrorMs,
    });
    if (known === undefined) return UNREACHABLE;
    const { entry, claim } = known;
    // A `get` has no loader: it must not take the turn of those who have one.
    const due = staleOnErrorMs !== undefined && claim(settings.retryAfterMs);
    const answer: Answer = { value: entry.value, outcome: 'stale' };
    return { ...UNREACHABLE, answer, stale: due ? entry : undefined };
  }

  #judge({ found, current }: Reading, staleMs: number): Look {
    if (found === undefined || !current) return MISSING;
    const { clock, counters } = this.#engine;
    const { entry, tier } = found;
    const { value, negative } = entry;
    const now = clock.wallNow();
    const state = freshness(entry, now);
    if (state === 'fresh') {
      counters.answered(tier);
      if (negative) counters.answered('negative');
      const answer: Answer = { value, outcome: negative ? 'negative' : tier };
      return { answer, stale: undefined, unreachable: false, entry };
    }
    if (state === 'expired') return MISSING;
    const answer: Answer | undefined = isServable(entry, now, staleMs)
      ? { value, outcome: 'stale' }
      : undefined;
    return { answer, stale: entry, unreachable: false, entry: undefined };
  }

  /** Redis failed, and a read does without it; unless the cache is strict. */
  #missing<T>(error: unknown, otherwise: T): T {
    this.#engine.counters.add('failures');
    if (this.#events.changesActive) this.#events.tell('error', codeOf(error), { by: 'read' });
    if (this.#engine.settings.strict) throw error;
    return otherwise;
  }

  #answered(outcome: CacheOutcome, options: ReadOptions): void {
    if (outcome === 'stale') this.#engine.counters.answered('stale');
    options.onOutcome?.(outcome);
  }

  // -- events: nothing is built and no clock is read while nobody listens ------------------------------------

  /** 0 when there is nobody to be told how long it took. */
  #listenedSince(): number {
    return this.#events.active ? this.#engine.clock.now() : 0;
  }

  #tellRead(outcome: CacheOutcome, key: string, startedAt: number): void {
    this.#events.tell('read', outcome, { key, durationMs: this.#since(startedAt) });
  }

  #invalidating<T>({ by, key }: { by: string; key?: Key }, work: () => Promise<T>): Promise<T> {
    const { clock, keys } = this.#engine;
    const full = key === undefined ? undefined : (): string => keys.value(key);
    return this.#events.invalidating({ by, key: full, clock }, () => this.#traced(by, work));
  }

  #traced<T>(by: string, work: () => Promise<T>): Promise<T> {
    if (!spans.active) return work();
    const attributes = { 'cache.invalidated_by': by };
    return spans.around({ name: 'cache.invalidate', subject: this.name, attributes }, work);
  }

  #since(startedAt: number): number {
    return startedAt === 0 ? 0 : this.#engine.clock.now() - startedAt;
  }

  /** All caches of the application share the cap, but one that sets its own. */
  #slotsFor(options: CacheOptions): LoadSlots {
    const { slotsOf } = this.#shared.surroundings;
    if (slotsOf !== undefined) return slotsOf(this.name);
    const own = options.maxLoads ?? CACHE_DEFAULTS.maxLoads;
    const common = this.#shared.options.maxLoads ?? CACHE_DEFAULTS.maxLoads;
    return own === common ? this.#shared.slots : new LoadSlots(own);
  }

  get #isNamed(): boolean {
    return this.#shared.caches.get(DEFAULT_NAME) !== typed(this);
  }

  /** None of them is closed before the loads of all have ended: they may ask each other. */
  async #close(caches: readonly CacheService[], drainMs: number): Promise<void> {
    await Promise.all(caches.map((cache) => cache.#engine.drain(drainMs)));
    await Promise.all(caches.map((cache) => cache.#engine.close()));
    const { client, ownsClient = false } = this.#shared.surroundings;
    if (ownsClient && !this.#isNamed) await client.disconnect();
  }
}

const MISSING: Look = { answer: undefined, stale: undefined, unreachable: false, entry: undefined };
const UNREACHABLE: Look = { ...MISSING, unreachable: true };
/** An answer at hand took no time in which anything could have failed. */
const NEVER = Infinity;
const NO_OPTIONS = Object.freeze({});
const FRESH: Bounds = { staleMs: 0 };

/** What an `async` function would do with it; those that answer at once are none. */
function rejected(error: unknown): Promise<never> {
  return Promise.reject(error instanceof Error ? error : new Error(String(error)));
}

function noLoader(loader: unknown): InvalidCacheOptionsError {
  return new InvalidCacheOptionsError(`getOrSet: the loader is ${typeof loader} and not a function`);
}

function requestOf(wanted: {
  key: Key;
  full: string;
  call: ResolvedLoad;
  look: Look;
  options: LoadOptions;
  beganAt: number;
  loader?: Loader<unknown>;
}): LoadRequest {
  const { key, full, call, look, options, beganAt, loader = nothing } = wanted;
  return {
    key: full,
    userKey: key,
    loader,
    options: call,
    stale: look.stale,
    signal: options.signal,
    unreachable: look.unreachable,
    beganAt,
    batched: options[DECIDED] !== undefined,
    anew: options[ANEW],
    origin: spans.here(),
    onDecided: options[DECIDED],
  };
}

function nothing(): undefined {
  return undefined;
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
