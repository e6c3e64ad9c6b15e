/** When to load again, and how long to keep: small pure rules with a random part. */
import type { CacheEntry } from '../store.js';

/**
 * XFetch: the nearer the expiry and the slower the loader, the likelier one of many readers refreshes ahead of
 * it, so that nobody ever finds the entry expired. Optimal for exponentially spread readers (Vattani et al.,
 * "Optimal Probabilistic Cache Stampede Prevention", 2015), with beta 1.
 */
export function isDueEarly(entry: CacheEntry, now: number, random: () => number): boolean {
  if (entry.softExpiresAt === undefined || entry.loadMs <= 0) return false;
  const left = entry.softExpiresAt - now;
  // Random draws 0 in theory, and its logarithm is without end; ten loads ahead is early enough.
  if (left > entry.loadMs * 10) return false;
  return -Math.log(1 - random()) * entry.loadMs >= left;
}

/** Shorter by up to this share, never longer: what was stored together does not expire together. */
export function jittered(ttlMs: number, share: number, random: () => number): number {
  return Math.max(1, Math.round(ttlMs * (1 - share * random())));
}
