/**
 * A cache that goes on when Redis is away. It asks Redis first; when Redis does not answer, a cache in this process
 * stands in, filled with what was read and written lately. What is changed meanwhile is remembered, and Redis is told
 * of it before it is read again. See docs/fallback.md.
 */
import type { Key, Ttl } from '../../connection/index.js';
import { inBatches, systemClock, type Duration } from '../../core/index.js';
import type { ManyLoader } from '../loading/batch-loader.js';
import type { CacheContract, CacheValue } from '../cache-contract.js';
import { CacheEvents } from '../cache-events.js';
import { CacheKeys } from '../cache.keys.js';
import { completed, resolveCache, ttlOf, type CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';
import type { CacheStats } from '../cache-stats.js';
import type { CacheSetOptions, GetOptions, Loader, LoadOptions } from '../call.options.js';
import type { Explanation } from '../explain.js';
import type { Journal } from './fallback-journal.js';
import { RecordedLoader, RecordedManyLoader } from './fallback-loaders.js';
import { isOfRedis, meansAway, passes, reasonOf, wasNotExecuted } from './fallback-loss.js';
import {
  forPrimary,
  forStandby,
  openPair,
  type FallbackSurroundings,
  type Pair,
} from './fallback-standby.js';
import type { FallbackChange, FallbackMode } from './fallback-switch.js';
import { addedStats } from '../sharded/sharded-stats.js';

export interface FallbackState {
  /** Who answers: Redis, or this process; `recovering` is this process while Redis is told of the changes. */
  readonly mode: FallbackMode;
  /** Wall clock milliseconds. */
  readonly since: number;
  /** One line without secrets. */
  readonly reason: string;
  /** Changes that Redis has to be told of. */
  readonly journal: number;
  /** They were more than the journal holds: at its return the namespace is flushed in Redis. */
  readonly overflowed: boolean;
  /** Increments so far of which nobody knows whether Redis has counted them; they were not sent again. */
  readonly uncertainIncrements: number;
}

export interface FallbackExplanation extends Explanation {
  /** `copy`: what Redis held when it was last seen; `standby`: stored here while Redis was away, or nothing. */
  readonly source: 'redis' | 'copy' | 'standby';
}

/** What all caches of a namespace have in common. */
interface House {
  readonly surroundings: FallbackSurroundings;
  readonly options: CacheOptions;
  readonly primary: CacheService;
  readonly caches: Map<string, FallbackCache>;
  /** Undefined where nothing stands in. */
  readonly pair: Pair | undefined;
}

interface Change<T> {
  on(cache: CacheContract): Promise<T>;
  /** Puts down in the journal what Redis has to undo, before it is done here; `error` is why Redis did not do it. */
  note?(journal: Journal, error: unknown): void;
  /** Puts down what Redis has to take over from here; a replay before it is here would tell what was here before. */
  owe?(journal: Journal, error: unknown): void;
  /** Does in the standby what Redis has done, with that answer. @default as `on` */
  repeat?(standby: CacheContract, answer: T): Promise<unknown>;
  /** What it changes, where that may as well go from the standby. */
  readonly key?: Key;
  /** What it comes to where failures of writes are ignored. */
  readonly otherwise?: T;
}

const DEFAULT_NAME = 'default';

export class FallbackCache<Value = unknown> implements CacheContract<Value> {
  readonly name: string;
  readonly #house: House;
  readonly #keys: CacheKeys;
  readonly #events: CacheEvents;
  readonly #primary: CacheContract;
  /** Is {@link #primary} where nothing stands in. */
  readonly #standin: CacheContract;
  readonly #options: CacheOptions;
  readonly #ttlMs: number | undefined;

  constructor(
    surroundings: FallbackSurroundings,
    options: CacheOptions = {},
    place?: { name: string; house: House },
  ) {
    this.name = place?.name ?? DEFAULT_NAME;
    this.#options = options;
    this.#ttlMs = resolveCache(options).ttlMs;
    this.#keys = new CacheKeys(surroundings.namespace, this.name);
    this.#events = new CacheEvents(this.name);
    this.#house = place?.house ?? furnish(surroundings, options, this.#keys);
    const { primary, pair } = this.#house;
    if (pair === undefined) {
      this.#primary = place === undefined ? primary : primary.namespace(this.name, options);
      this.#standin = this.#primary;
    } else {
      const isRoot = place === undefined;
      this.#primary = isRoot ? primary : primary.namespace(this.name, forPrimary(options));
      this.#standin = isRoot ? pair.standby : pair.standby.namespace(this.name, forStandby(options));
    }
    if (place === undefined) this.#house.caches.set(this.name, this);
  }

  get state(): FallbackState {
    const { pair } = this.#house;
    return {
      mode: pair?.power.mode ?? 'redis',
      since: pair?.power.since ?? 0,
      reason: pair?.power.reason ?? 'nothing stands in: the cache is in this process',
      journal: pair?.journal.size ?? 0,
      overflowed: pair?.journal.overflowed ?? false,
      uncertainIncrements: pair?.uncertain.count ?? 0,
    };
  }

  /** Told of every change of `state.mode`; the returned function stops that. */
  onStateChange(listener: (change: FallbackChange) => void): () => void {
    return this.#house.pair?.power.onChange(listener) ?? (() => undefined);
  }

  // -- life -------------------------------------------------------------------------------------------------

  /** Settles when somebody answers: Redis, or this process after the time given for Redis. */
  async connect(options?: { timeout?: Duration }): Promise<void> {
    try {
      await this.#primary.connect(options);
    } catch (error) {
      const { pair } = this.#house;
      if (pair === undefined || !meansAway(error)) throw error;
      pair.power.leave(reasonOf(error));
    }
  }

  /** As `CacheService.disconnect`. What Redis was not told of by then, it is never told. */
  async disconnect(options?: { drain?: Duration }): Promise<void> {
    const { pair, caches } = this.#house;
    const isRoot = caches.get(DEFAULT_NAME) === untyped(this);
    if (isRoot) await pair?.power.close();
    // Together: the loads of one have no less time for those of the other.
    await Promise.all([this.#primary.disconnect(options), this.#standin.disconnect(options)]);
  }

  namespace<Name extends string>(name: Name, options: CacheOptions = {}): FallbackCache<CacheValue<Name>> {
    const house = this.#house;
    let cache = house.caches.get(name);
    if (cache === undefined) {
      const all = completed(options, house.options);
      cache = new FallbackCache(house.surroundings, all, { name, house });
      house.caches.set(name, cache);
    }
    return typed<CacheValue<Name>>(cache);
  }

  // -- values -----------------------------------------------------------------------------------------------

  get<T = Value>(key: Key, options?: GetOptions): Promise<T | undefined> {
    return this.#read((cache) => cache.get<T>(key, options));
  }

  held<T = Value>(key: Key): T | undefined {
    return this.#inCharge.held<T>(key);
  }

  getMany<T = Value>(keys: readonly Key[], options?: GetOptions): Promise<(T | undefined)[]> {
    return this.#read((cache) => cache.getMany<T>(keys, options));
  }

  has(key: Key, options?: { signal?: AbortSignal }): Promise<boolean> {
    return this.#read((cache) => cache.has(key, options));
  }

  async set(key: Key, value: Value, options?: Ttl | CacheSetOptions): Promise<boolean> {
    if (value === undefined) return false;
    return this.#change({
      on: (cache) => cache.set(key, value, options),
      note: (journal) => journal.remove(this.#place(key)),
      key,
      otherwise: false,
    });
  }

  async setMany(entries: Iterable<readonly [Key, Value]>, options?: Ttl | CacheSetOptions): Promise<void> {
    await inBatches([...entries], ([key, value]) => this.set(key, value, options));
  }

  async delete(key: Key, options?: { signal?: AbortSignal }): Promise<boolean> {
    const full = (): string => this.#keys.value(key);
    return (await this.#invalidating('delete', () => this.#remove([key], options), full)) > 0;
  }

  deleteMany(keys: readonly Key[], options?: { signal?: AbortSignal }): Promise<number> {
    return this.#invalidating('deleteMany', () => this.#remove(keys, options));
  }

  #remove(keys: readonly Key[], options?: { signal?: AbortSignal }): Promise<number> {
    return this.#change({
      on: (cache) => cache.deleteMany(keys, options),
      note: (journal) => {
        for (const place of keys.map((key) => this.#place(key))) journal.remove(place);
      },
    });
  }

  // -- loads ------------------------------------------------------------------------------------------------

  /** A loader that has run when Redis fails does not run again for the same caller: its value is the answer. */
  async getOrSet<T = Value>(key: Key, loader: Loader<T>, options: LoadOptions = {}): Promise<T> {
    const { pair } = this.#house;
    if (pair === undefined || !this.#asksRedis || typeof loader !== 'function') {
      return this.#inCharge.getOrSet(key, loader, options);
    }
    const recorded = new RecordedLoader(loader, pair.failures);
    try {
      return await this.#primary.getOrSet(key, recorded.load, options);
    } catch (error) {
      if (!this.#isStoodInFor(error)) throw error;
      if (!recorded.done) return this.#standin.getOrSet(key, loader, options);
      options.onOutcome?.('bypass');
      return recorded.value as T;
    }
  }

  async getOrSetMany<T = Value>(
    keys: readonly Key[],
    loader: ManyLoader<T>,
    options: LoadOptions = {},
  ): Promise<(T | undefined)[]> {
    const { pair } = this.#house;
    if (pair === undefined || !this.#asksRedis || typeof loader !== 'function') {
      return this.#inCharge.getOrSetMany(keys, loader, options);
    }
    const recorded = new RecordedManyLoader(loader, pair.failures);
    try {
      return await this.#primary.getOrSetMany(keys, recorded.load, options);
    } catch (error) {
      if (!this.#isStoodInFor(error)) throw error;
      const left = keys.filter((key) => !recorded.values.has(key));
      const answers = await this.#standin.getOrSetMany(left, loader, options);
      return keys.map((key) => (recorded.values.has(key) ? recorded.values.get(key) : answers.shift()));
    }
  }

  // -- invalidation -----------------------------------------------------------------------------------------

  async invalidateTags(tags: string | readonly string[]): Promise<void> {
    const all = typeof tags === 'string' ? [tags] : tags;
    for (const tag of all) this.#keys.tag(tag);
    await this.#invalidating('tags', () =>
      this.#change({
        on: (cache) => cache.invalidateTags(all),
        note: (journal) => journal.tags(all),
      }),
    );
  }

  deletePrefix(prefix: Key): Promise<number> {
    return this.#invalidating('prefix', () =>
      this.#change({
        on: (cache) => cache.deletePrefix(prefix),
        note: (journal) => journal.prefix(this.name, prefix, this.#keys.valuesUnder(prefix).holds),
      }),
    );
  }

  flush(): Promise<number> {
    return this.#invalidating('flush', () =>
      this.#change({
        on: (cache) => cache.flush(),
        note: (journal) => journal.flush(this.name),
      }),
    );
  }

  // -- expiry, counters, hashes -----------------------------------------------------------------------------

  expire(key: Key, ttl: Ttl, options?: { signal?: AbortSignal }): Promise<boolean> {
    return this.#change({
      on: (cache) => cache.expire(key, ttl, options),
      note: (journal) => journal.expire(this.#place(key), this.#endOf(ttl) ?? 'never'),
      key,
      otherwise: false,
    });
  }

  ttl(key: Key, options?: { signal?: AbortSignal }): Promise<number | 'never' | undefined> {
    return this.#read((cache) => cache.ttl(key, options));
  }

  /**
   * While Redis is away it counts on from what is known here, and Redis is told how many were added. What Redis may
   * have counted, and did not say so, is not sent again.
   */
  async incr(key: Key, amount = 1, options: Ttl | CacheSetOptions = {}): Promise<number> {
    const ttl = typeof options === 'object' ? options.ttl : options;
    const { pair } = this.#house;
    return this.#change({
      on: (cache) => cache.incr(key, amount, options),
      note: (_, error) => {
        if (pair !== undefined && !isOwed(error)) pair.uncertain.count += 1;
      },
      // Not before it is counted here: not every value is a number.
      owe: (journal, error) => {
        if (!isOwed(error)) return;
        journal.count(this.#place(key), { amount, now: this.#now(), endsAt: this.#endOf(ttl) });
      },
      repeat: async (standby, count) => {
        const isCountedHere = pair?.guarded.hasChanged(this.#keys.value(key)) === true;
        // What Redis says is better than what was known here, but for what it does not know of yet.
        const missing = isCountedHere ? amount : count - (await standby.incr(key, 0, options));
        await standby.incr(key, missing, options);
      },
      key,
    });
  }

  hset(key: Key, field: string, value: unknown, options?: Ttl | CacheSetOptions): Promise<number>;
  hset(key: Key, fields: Readonly<Record<string, unknown>>, options?: Ttl | CacheSetOptions): Promise<number>;
  async hset(
    key: Key,
    first: string | Readonly<Record<string, unknown>>,
    second?: unknown,
    third?: Ttl | CacheSetOptions,
  ): Promise<number> {
    const fields = typeof first === 'string' ? { [first]: second } : first;
    const options = (typeof first === 'string' ? third : (second as typeof third)) ?? {};
    const names = Object.keys(fields).filter((name) => fields[name] !== undefined);
    if (names.length === 0) return 0;
    const ttl = typeof options === 'object' ? options.ttl : options;
    return this.#change({
      on: (cache) => cache.hset(key, fields, options),
      owe: (journal) => journal.putFields(this.#place(key), names, this.#endOf(ttl)),
      key,
      otherwise: 0,
    });
  }

  hget<T = unknown>(key: Key, field: string, options?: { signal?: AbortSignal }): Promise<T | undefined> {
    return this.#read((cache) => cache.hget<T>(key, field, options));
  }

  // -- insight ----------------------------------------------------------------------------------------------

  explain(key: Key): Promise<FallbackExplanation> {
    return this.#read(async (cache) => {
      const explanation = await cache.explain(key);
      return { ...explanation, source: this.#sourceOf(cache, explanation) };
    });
  }

  /** All caches of the namespace that were asked for so far, this one among them. */
  get caches(): ReadonlyMap<string, FallbackCache> {
    return this.#house.caches;
  }

  /** Of Redis and of this process together. */
  stats(): CacheStats {
    if (this.#house.pair === undefined) return this.#primary.stats();
    return addedStats([this.#primary.stats(), this.#standin.stats()]);
  }

  // -- within -----------------------------------------------------------------------------------------------

  get #asksRedis(): boolean {
    return this.#house.pair?.power.mode === 'redis';
  }

  get #inCharge(): CacheContract {
    return this.#asksRedis ? this.#primary : this.#standin;
  }

  async #read<T>(ask: (cache: CacheContract) => Promise<T>): Promise<T> {
    if (!this.#asksRedis) return ask(this.#standin);
    try {
      return await ask(this.#primary);
    } catch (error) {
      if (!this.#isStoodInFor(error)) throw error;
      return ask(this.#standin);
    }
  }

  #invalidating<T>(by: string, work: () => Promise<T>, key?: () => string): Promise<T> {
    const { clock = systemClock } = this.#house.surroundings;
    return this.#events.invalidating({ by, key, clock }, work);
  }

  #change<T>(change: Change<T>): Promise<T> {
    const { pair } = this.#house;
    if (pair === undefined) return change.on(this.#primary);
    const { power } = pair;
    return power.changing(() =>
      power.mode === 'redis' ? this.#changeInRedis(change, pair) : this.#changeHere(change, pair.journal),
    );
  }

  async #changeInRedis<T>(change: Change<T>, { power, journal }: Pair): Promise<T> {
    let answer: T;
    try {
      answer = await change.on(this.#primary);
    } catch (error) {
      if (!isOfRedis(error)) throw error;
      if (!meansAway(error)) return this.#refused(error, change);
      // It may have been lost and back again since the call began.
      power.leave(reasonOf(error));
      return this.#changeHere(change, journal, error);
    }
    // Others have given it up meanwhile: from then on nothing of this was seen here.
    if (power.mode !== 'redis') await this.#repeatHere(change, answer);
    return answer;
  }

  async #changeHere<T>(change: Change<T>, journal: Journal, error?: unknown): Promise<T> {
    change.note?.(journal, error);
    const answer = await change.on(this.#standin);
    change.owe?.(journal, error);
    return answer;
  }

  /**
   * Redis has done it and is not told of it again; but until it is read again, the standby answers. What can not be
   * repeated there was done all the same, as long as nothing old is left.
   */
  async #repeatHere<T>(change: Change<T>, answer: T): Promise<void> {
    const standby = this.#standin;
    try {
      await (change.repeat?.(standby, answer) ?? change.on(standby));
    } catch (error) {
      if (change.key === undefined) throw error;
      await standby.delete(change.key);
    }
  }

  /** Redis is there and does not do it. */
  #refused<T>(error: unknown, { otherwise }: Change<T>): T {
    if (otherwise !== undefined && this.#options.onWriteError === 'ignore') return otherwise;
    throw error;
  }

  /** Redis failed, and not the caller, nor a loader of his. */
  #isStoodInFor(error: unknown): boolean {
    const { pair } = this.#house;
    if (pair === undefined || !isOfRedis(error) || pair.failures.has(error)) return false;
    pair.power.failed(error);
    return passes(error) || this.#options.strict !== true;
  }

  #sourceOf(cache: CacheContract, { key, tier, state }: Explanation): FallbackExplanation['source'] {
    if (cache === this.#primary) return 'redis';
    const isThere = tier !== undefined || state === 'hash';
    return isThere && this.#house.pair?.guarded.hasChanged(key) === false ? 'copy' : 'standby';
  }

  #place(key: Key): { cache: string; key: Key; full: string } {
    return { cache: this.name, key, full: this.#keys.value(key) };
  }

  #endOf(ttl: Ttl | undefined): number | undefined {
    const ms = ttl === undefined ? this.#ttlMs : ttlOf(ttl);
    return ms === undefined ? undefined : this.#now() + ms;
  }

  #now(): number {
    return (this.#house.surroundings.clock ?? systemClock).wallNow();
  }
}

function furnish(surroundings: FallbackSurroundings, options: CacheOptions, keys: CacheKeys): House {
  const caches = new Map<string, FallbackCache>();
  const { standby } = surroundings;
  const names = (): readonly string[] => [...caches.keys()];
  const pair = standby === undefined ? undefined : openPair(surroundings, standby, { options, keys, names });
  const primary = pair?.primary ?? new CacheService({ ...surroundings, isPart: true }, options);
  return { surroundings, options, primary, caches, pair };
}

function untyped<Value>(cache: FallbackCache<Value>): unknown {
  return cache;
}

function typed<Value>(cache: FallbackCache): FallbackCache<Value> {
  return cache;
}

/** Adding it once more can not count it twice. */
function isOwed(error: unknown): boolean {
  return error === undefined || wasNotExecuted(error);
}
