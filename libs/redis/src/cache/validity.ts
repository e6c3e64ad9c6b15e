/** Whether an entry counts, and until when: pure, and the same for every tier. */
import type { CacheEntry } from './store.js';
import { NO_CLOCK } from './tag-clocks.js';

/** What an entry is judged by: read no earlier than the call began, or it may miss an invalidation. */
export interface Clocks {
  readonly flush: number;
  /** In the order of the entry's tags. */
  readonly tags: readonly number[];
}

/**
 * A tag without a clock counts as invalidated: Redis may have evicted it, and with it the memory of an
 * invalidation. Whoever stores under a tag therefore sees to it that the clock is there.
 */
export function isCurrent(entry: CacheEntry, clocks: Clocks): boolean {
  if (clocks.flush > entry.clock) return false;
  return clocks.tags.every((clock) => clock !== NO_CLOCK && clock <= entry.clock);
}

export type Freshness = 'fresh' | 'stale' | 'expired';

export function freshness(entry: CacheEntry, now: number): Freshness {
  if (entry.softExpiresAt === undefined || now < entry.softExpiresAt) return 'fresh';
  return entry.expiresAt === undefined || now < entry.expiresAt ? 'stale' : 'expired';
}

/** Fresh, or stale for less than that: with 0 ms nothing stale is served, not even in its first millisecond. */
export function isServable({ softExpiresAt }: CacheEntry, now: number, staleMs: number): boolean {
  return softExpiresAt === undefined || now < softExpiresAt || now - softExpiresAt < staleMs;
}
