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
}

/** What `incr` counts in has no clock of its own and no tags: nothing but its removal invalidates it. */
export const COUNTER_CLOCK = Number.MAX_SAFE_INTEGER;

export function isCounter(entry: CacheEntry): boolean {
  return entry.clock === COUNTER_CLOCK;
}

export type Tier = 'l1' | 'l2';

export interface Found {
  readonly entry: CacheEntry;
  readonly tier: Tier;
  /** Size as it lies there, encoded: what a near cache counts it by. */
  readonly bytes?: number | undefined;
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
  /** The load that is known to have stored something, and the caller does without it. */
  readonly despite?: string | undefined;
}

/** How a load ended that stored nothing. */
export type Release =
  | { readonly outcome: 'failed'; readonly failure: unknown; readonly keepMs: number }
  | { readonly outcome: 'nothing' }
  /** As if it had not been. */
  | { readonly outcome: 'gone' };

export interface Store {
  /** What lies there, valid or not; at once when it is at hand. Rejects when the tier fails. */
  get(key: string, call?: StoreCall): Found | undefined | Promise<Found | undefined>;
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
}
