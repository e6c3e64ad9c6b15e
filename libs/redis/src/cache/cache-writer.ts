/** Storing and invalidating, and what a failure of Redis means for each. */
import type { Key } from '../connection/index.js';
import type { CacheEngine } from './cache-engine.js';
import { codeOf, type CacheEvents } from './cache-events.js';
import { ttlOf } from './cache.options.js';
import { outlivesTags } from './fence.js';
import { distinct, type CacheSetOptions } from './call.options.js';
import { isCounter, type CacheEntry } from './store.js';
import { removeUnder } from './sweep.js';
import { freshness } from './validity.js';

/** Invalidations that keep overtaking a write: then it was stored, and rightly invalidated. */
const STORE_ATTEMPTS = 3;

/** Nobody is to be told how long it took. */
const NEVER = -1;
const NO_TAGS: readonly string[] = Object.freeze([]);

export class CacheWriter {
  readonly #engine: CacheEngine;
  readonly #events: CacheEvents;

  constructor(engine: CacheEngine, events: CacheEvents) {
    this.#engine = engine;
    this.#events = events;
  }

  /** It is told of here, as whoever waited for it once more would add to what it costs. */
  async set(key: Key, value: unknown, options: CacheSetOptions): Promise<boolean> {
    const { keys, settings, clock, counters } = this.#engine;
    const full = keys.value(key);
    const tags = options.tags === undefined ? NO_TAGS : distinct(options.tags);
    const ttlMs = options.ttl === undefined ? settings.ttlMs : ttlOf(options.ttl);
    const startedAt = this.#events.active ? clock.now() : NEVER;
    try {
      const stored = value !== undefined && (await this.#store(full, { value, ttlMs, tags }, options.signal));
      if (stored) counters.add('writes');
      this.#tellSaved(stored ? 'ok' : 'nothing', full, startedAt);
      return stored;
    } catch (error) {
      counters.add('failedWrites');
      this.#tellSaved(codeOf(error), full, startedAt);
      if (!settings.ignoreWriteErrors) throw error;
      counters.add('failures');
      return false;
    }
  }

  #tellSaved(outcome: string, key: string, startedAt: number): void {
    if (startedAt === NEVER) return;
    const durationMs = this.#engine.clock.now() - startedAt;
    this.#events.tell('save', outcome, { by: 'set', key, durationMs });
  }

  async remove(keys: readonly Key[], signal: AbortSignal | undefined): Promise<number> {
    const names = keys.map((key) => this.#engine.keys.value(key));
    return this.#engine.store.remove(names, { signal });
  }

  async invalidateTags(tags: readonly string[]): Promise<void> {
    const { fence, keys } = this.#engine;
    await fence.invalidate(distinct(tags).map((tag) => keys.tag(tag)));
  }

  async flush(): Promise<number> {
    await this.#engine.fence.flush();
    return removeUnder(this.#engine, undefined);
  }

  removeUnder(prefix: Key): Promise<number> {
    return removeUnder(this.#engine, prefix);
  }

  /** @returns whether there was something to expire */
  async expire(key: Key, ttlMs: number | undefined, signal: AbortSignal | undefined): Promise<boolean> {
    const { reader, keys, structures, store, clock } = this.#engine;
    const full = keys.value(key);
    return this.#unlessIgnored(false, async () => {
      const { found, current } = await reader.read(full, { signal });
      if (found === undefined || isCounter(found.entry)) return structures.expire(full, ttlMs, { signal });
      if (!current || freshness(found.entry, clock.wallNow()) !== 'fresh') return false;
      await this.#keepTags(keys.tags(found.entry.tags), ttlMs);
      return store.update(full, (entry) => this.#expiring(entry, ttlMs), { signal });
    });
  }

  async increment(key: Key, amount: number, options: CacheSetOptions): Promise<number> {
    const { keys, structures, settings } = this.#engine;
    const ttlMs = options.ttl === undefined ? settings.ttlMs : ttlOf(options.ttl);
    return structures.increment(keys.value(key), { amount, ttlMs }, { signal: options.signal });
  }

  async hashSet(
    key: Key,
    fields: readonly (readonly [string, unknown])[],
    options: CacheSetOptions,
  ): Promise<number> {
    const { keys, structures, settings } = this.#engine;
    const ttlMs = options.ttl === undefined ? settings.ttlMs : ttlOf(options.ttl);
    const full = keys.value(key);
    return this.#unlessIgnored(0, () =>
      structures.hashSet(full, { fields, ttlMs }, { signal: options.signal }),
    );
  }

  /**
   * The value leaves together with the question for the clocks, stamped with the greatest clock seen here. That
   * is nearly always enough; when it is not, the answer says so and the value is stored once more.
   */
  async #store(
    full: string,
    value: { value: unknown; ttlMs: number | undefined; tags: readonly string[] },
    signal: AbortSignal | undefined,
  ): Promise<true> {
    const { fence, store, keys } = this.#engine;
    const tagKeys = keys.tags(value.tags);
    for (let attempt = 1; ; attempt += 1) {
      const entry = this.#entryOf(value);
      const storing = store.set(full, entry, { signal });
      const holding = fence.holds(tagKeys, entry.clock);
      holding.catch(ignore);
      await storing;
      const stands = await holding;
      if (!stands && attempt < STORE_ATTEMPTS) await this.#register(tagKeys, value.ttlMs);
      else {
        if (attempt === 1) await this.#keepTags(tagKeys, value.ttlMs);
        return true;
      }
    }
  }

  /** Tags that end before what is stored under them would end it. */
  async #keepTags(tagKeys: readonly string[], ttlMs: number | undefined): Promise<void> {
    if (tagKeys.length > 0 && outlivesTags(ttlMs ?? 0)) await this.#register(tagKeys, ttlMs);
  }

  async #register(tagKeys: readonly string[], ttlMs: number | undefined): Promise<void> {
    const { fence } = this.#engine;
    const lifetimeMs = ttlMs ?? 0;
    const unregistered = await fence.unregistered(tagKeys, lifetimeMs);
    if (unregistered.length > 0) await fence.register(unregistered, await fence.now(), lifetimeMs);
  }

  #entryOf(stored: { value: unknown; ttlMs: number | undefined; tags: readonly string[] }): CacheEntry {
    const now = this.#engine.clock.wallNow();
    const expiresAt = stored.ttlMs === undefined ? undefined : now + stored.ttlMs;
    return {
      value: stored.value,
      createdAt: now,
      softExpiresAt: expiresAt,
      expiresAt,
      clock: this.#engine.fence.seen,
      loadMs: 0,
      negative: false,
      tags: stored.tags,
    };
  }

  #expiring(entry: CacheEntry, ttlMs: number | undefined): CacheEntry {
    if (ttlMs === undefined) return { ...entry, softExpiresAt: undefined, expiresAt: undefined };
    const softExpiresAt = this.#engine.clock.wallNow() + ttlMs;
    const { softExpiresAt: soft = 0, expiresAt: hard = 0 } = entry;
    return { ...entry, softExpiresAt, expiresAt: softExpiresAt + Math.max(0, hard - soft) };
  }

  async #unlessIgnored<T>(otherwise: T, write: () => Promise<T>): Promise<T> {
    const { settings, counters } = this.#engine;
    if (!settings.ignoreWriteErrors) return write();
    try {
      return await write();
    } catch {
      counters.add('failures');
      return otherwise;
    }
  }
}

function ignore(): void {
  // Whoever needs it hears of it.
}
