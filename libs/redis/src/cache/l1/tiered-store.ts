/**
 * A store with a near cache before it: reads are answered from memory while changes in Redis are followed, and
 * pass through otherwise. Nothing is kept of what this process writes; the next read keeps what then lies there
 * (why, says memory-store.ts).
 */
import { systemClock, type Clock } from '../../core/index.js';
import type { L1Tracking } from './l1-tracking.js';
import type { MemoryStore } from './memory-store.js';
import {
  isCounter,
  type CacheEntry,
  type Found,
  type Grant,
  type LastKnown,
  type LeaseAsk,
  type Release,
  type Store,
  type StoreCall,
} from '../store.js';

export interface TieredOptions {
  readonly tracking: L1Tracking;
  /** May be shared by stores of different keys; whoever made it sees to it that it follows `tracking`. */
  readonly memory: MemoryStore<CacheEntry>;
  readonly clock?: Clock | undefined;
}

/** For stores below that do not say how large an entry is. */
const UNKNOWN_BYTES = 1_024;

export class TieredStore implements Store {
  readonly #inner: Store;
  readonly #memory: MemoryStore<CacheEntry>;
  readonly #tracking: L1Tracking;
  readonly #clock: Clock;

  constructor(inner: Store, { tracking, memory, clock = systemClock }: TieredOptions) {
    this.#inner = inner;
    this.#memory = memory;
    this.#tracking = tracking;
    this.#clock = clock;
  }

  get(key: string, call?: StoreCall): Found | undefined | Promise<Found | undefined> {
    if (!this.#tracking.active) {
      this.#tracking.start();
      return this.#memory.doubtful ? this.#getInDoubt(key, call) : this.#inner.get(key, call);
    }
    const entry = this.#memory.get(key);
    if (entry !== undefined) return { entry, tier: 'l1' };
    // Before the question leaves: whatever is invalidated from here on the answer may not have seen.
    const since = this.#memory.begin();
    const found = this.#inner.get(key, call);
    if (!(found instanceof Promise)) return this.#keep(key, found, since);
    return found.then((answer) => this.#keep(key, answer, since));
  }

  held(key: string): Found | undefined {
    const entry = this.#tracking.active ? this.#memory.held(key) : undefined;
    return entry === undefined ? undefined : { entry, tier: 'l1' };
  }

  set(key: string, entry: CacheEntry, call?: StoreCall): Promise<void> {
    return this.#change([key], this.#inner.set(key, entry, call));
  }

  remove(keys: readonly string[], call?: StoreCall): Promise<number> {
    return this.#change(keys, this.#inner.remove(keys, call));
  }

  update(key: string, change: (entry: CacheEntry) => CacheEntry, call?: StoreCall): Promise<boolean> {
    return this.#change([key], this.#inner.update(key, change, call));
  }

  fill(key: string, entry: CacheEntry, token: string): Promise<boolean> {
    return this.#change([key], this.#inner.fill(key, entry, token));
  }

  /** What somebody has just stored may not have been announced yet: whoever reads again is not to meet an older copy. */
  async acquire(key: string, ask: LeaseAsk): Promise<Grant> {
    const grant = await this.#inner.acquire(key, ask);
    if (grant.state === 'filled') this.#memory.invalidate(key);
    return grant;
  }

  renew(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.#inner.renew(key, token, leaseMs);
  }

  release(key: string, token: string, release: Release): Promise<boolean> {
    return this.#inner.release(key, token, release);
  }

  lastKnown(key: string): LastKnown | undefined {
    return this.#memory.lastKnown(key);
  }

  remaker(key: string): ((entry: CacheEntry) => void) | undefined {
    return this.#memory.remaker(key);
  }

  forget(holds: (key: string) => boolean): void {
    this.#memory.invalidateWhere(holds);
  }

  async #getInDoubt(key: string, call: StoreCall | undefined): Promise<Found | undefined> {
    const since = this.#memory.begin();
    const found = await this.#inner.get(key, call);
    const { entry, bytes = UNKNOWN_BYTES } = found ?? {};
    const kept = entry === undefined || isCounter(entry) ? undefined : entry;
    const handed = this.#memory.answered(key, kept, { since, bytes });
    return found === undefined || handed === undefined ? found : { ...found, entry: handed };
  }

  /** A loss of tracking meanwhile has raised the epoch of every key, so it needs no look of its own. */
  #keep(key: string, found: Found | undefined, since: number): Found | undefined {
    // Counters are changed past the store, and by the next caller anyway.
    if (found === undefined || isCounter(found.entry)) return found;
    const { entry, bytes = UNKNOWN_BYTES } = found;
    const ttlMs = entry.expiresAt === undefined ? Infinity : entry.expiresAt - this.#clock.wallNow();
    const handed = this.#memory.fill(key, entry, { since, bytes, ttlMs });
    return handed === entry ? found : { ...found, entry: handed };
  }

  /**
   * Whoever was told that a change is done may not read what was before it, so this does not wait for Redis to
   * announce it, and the others are told before. When it failed, it may have been done all the same.
   */
  async #change<T>(keys: readonly string[], change: Promise<T>): Promise<T> {
    // A copy in doubt is not served on for as long as the change takes to fail.
    if (!this.#tracking.active) this.#drop(keys);
    try {
      const result = await change;
      const telling = this.#tracking.announce(keys);
      if (telling !== undefined) await telling;
      return result;
    } catch (error) {
      this.#tracking.announce(keys)?.catch(() => undefined);
      throw error;
    } finally {
      this.#drop(keys);
    }
  }

  #drop(keys: readonly string[]): void {
    for (const key of keys) this.#memory.invalidate(key);
  }
}
