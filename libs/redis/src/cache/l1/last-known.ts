/**
 * What to serve when Redis does not answer: a copy that was right when changes could last be followed, judged by
 * the clocks of that time. See docs/near-cache.md.
 */
import type { CacheEngine } from '../cache-engine.js';
import type { LastKnown } from '../store.js';
import { NO_CLOCK } from '../tag-clocks.js';
import { freshness, isCurrent, isServable } from '../validity.js';

export interface LastKnownAsk {
  /** Why Redis was not asked or did not answer. */
  readonly error: unknown;
  /** The longest it may have been in doubt, and past its `ttl`. */
  readonly withinMs: number;
}

export function lastKnown(
  { store, clocks, keys, clock }: CacheEngine,
  full: string,
  { error, withinMs }: LastKnownAsk,
): LastKnown | undefined {
  // Whoever has closed the connection has not lost it.
  if (Reflect.get(Object(error), 'code') === 'CONNECTION_CLOSED') return undefined;
  const known = store.lastKnown?.(full);
  if (known === undefined || known.doubtfulMs > withinMs) return undefined;
  const { entry } = known;
  const now = clock.wallNow();
  if (freshness(entry, now) === 'expired' || !isServable(entry, now, withinMs)) return undefined;
  const judges = clocks.lastKnown?.([keys.flush, ...keys.tags(entry.tags)]);
  if (judges === undefined) return undefined;
  const [flush = NO_CLOCK, ...tags] = judges;
  return isCurrent(entry, { flush, tags }) ? known : undefined;
}
