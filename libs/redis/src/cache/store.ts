/**
 * What a tier of the cache offers. Tiered, fallback and sharded stores are `Store -> Store`: they take one and
 * are one. Keys are full Redis keys as `CacheKeys.value` makes them.
 *
 * A store knows nothing of tags: it hands out what lies there with the clock it was stored under, and whether
 * that still counts is judged above (`validity.ts`), the same for every tier.
 */

export interface CacheEntry {
  /** `null` for a negative entry. */
  readonly value: unknown;
  /** Wall clock milliseconds, as the two below. */
  readonly createdAt: number;
  /** From when on it is stale; undefined for never. */
  readonly softExpiresAt: number | undefined;
  /** From when on it is not served at all; undefined for never. */
  readonly expiresAt: number | undefined;
  /** The namespace's clock, read before the value was loaded: what is invalidated later has a greater one. */
  readonly clock: number;
  /** How long the loader took. */
  readonly loadMs: number;
  /** The loader said that there is nothing. */
  readonly negative: boolean;
  readonly tags: readonly string[];
  /** Where a store has made them already; good for whoever works with the same keys. */
  readonly tagKeys?: TagKeys | undefined;
}

/** The keys of the clocks of some tags. An entry may travel, so it says whose keys they are. */
interface TagKeys {
  readonly madeBy: object;
  readonly keys: readonly string[];
}

/** What `incr` counts in has no clock of its own and no tags: nothing but its removal invalidates it. */
export const COUNTER_CLOCK = Number.MAX_SAFE_INTEGER;

export function isCounter(entry: CacheEntry): boolean {
  return entry.clock === COUNTER_CLOCK;
}

/** `fallback` is the memory of this process while Redis is away. */
export type Tier = 'l1' | 'l2' | 'fallback';

export interface Found {
  readonly entry: CacheEntry;
  readonly tier: Tier;
  /** Size as it lies there, encoded: what a near cache counts it by. */
  readonly bytes?: number | undefined;
}

/** A copy that was right when changes could last be followed. */
export interface LastKnown<E = CacheEntry> {
  readonly entry: E;
  /** For how long nobody can say whether it still is. */
  readonly doubtfulMs: number;
  /** Whether to load it anew: one of those who ask is told so, and the next one after that time. */
  readonly claim: (pauseMs: number) => boolean;
}

export interface StoreCall {
  readonly signal?: AbortSignal | undefined;
}

/** What stood in a lease when it was asked for. */
export type Grant =
  /** It is ours now. */
  | { readonly state: 'granted' }
  /** Somebody loads; their lease runs out in `leftMs` unless renewed. */
  | { readonly state: 'held'; readonly token: string; readonly leftMs: number }
  /** A load has just stored its value: read again. */
  | { readonly state: 'filled'; readonly token: string }
  /** The load that was waited for has failed; `failure` is what `release` was given. */
  | { readonly state: 'failed'; readonly token: string; readonly failure: unknown }
  /** The load that was waited for found nothing to store. */
  | { readonly state: 'nothing'; readonly token: string };

export interface LeaseAsk {
  readonly token: string;
  readonly leaseMs: number;
  /** The load whose outcome the caller is owed: of others a failure does not count. */
  readonly waitedFor?: string | undefined;
  /** Any recent failure counts: for those who have something stale to serve instead. */
  readonly anyFailure?: boolean | undefined;
  /** How long the caller has been waiting: a load that failed meanwhile has failed for them too. @default 0 */
  readonly waitedMs?: number | undefined;
  /** The load that is known to have stored something, and the caller does without it. */
  readonly despite?: string | undefined;
}

/** How a load ended that stored nothing. */
export type Release =
  | { readonly outcome: 'failed'; readonly failure: unknown }
  | { readonly outcome: 'nothing' }
  /** As if it had not been. */
  | { readonly outcome: 'gone' };

export interface Store {
  /** What lies there, valid or not; at once when it is at hand. Rejects when the tier fails. */
  get(key: string, call?: StoreCall): Found | undefined | Promise<Found | undefined>;
  /** What `get` would hand out from this process's memory; nothing is asked, and nothing else is done. */
  held?(key: string): Found | undefined;
  /** Stores unconditionally, and ends the lease of whoever is loading. */
  set(key: string, entry: CacheEntry, call?: StoreCall): Promise<void>;
  /** Removes value and lease of each. @returns how many values there were */
  remove(keys: readonly string[], call?: StoreCall): Promise<number>;
  /** Changes an entry where it lies, unless somebody else does at the same time. @returns whether there was one */
  update(key: string, change: (entry: CacheEntry) => CacheEntry, call?: StoreCall): Promise<boolean>;

  acquire(key: string, ask: LeaseAsk): Promise<Grant>;
  /** @returns whether the lease is still ours */
  renew(key: string, token: string, leaseMs: number): Promise<boolean>;
  /** Stores only while the lease is ours, and ends it. @returns whether it was stored */
  fill(key: string, entry: CacheEntry, token: string): Promise<boolean>;
  /** Ends the lease without a value. @returns whether it was still ours */
  release(key: string, token: string, release: Release): Promise<boolean>;

  /** For when `get` has failed, of stores that hold copies. */
  lastKnown?(key: string): LastKnown | undefined;
  /** Takes what is loaded past Redis in place of what `lastKnown` has; asked for before the load begins. */
  remaker?(key: string): ((entry: CacheEntry) => void) | undefined;
  /** Copies of these keys go at once, whatever becomes of the keys themselves. */
  forget?(holds: (key: string) => boolean): void;
}
