/** Options of the near cache (L1), as users write them and as it uses them. See docs/near-cache.md. */
import { parsePositiveDuration, type Duration } from '../../core/index.js';
import { InvalidCacheOptionsError } from '../cache.errors.js';

/**
 * How callers are kept from changing what others read.
 *
 * - `frozen`: one value for all, frozen when it is stored; what can not be frozen is copied.
 * - `copy`: every caller gets a copy of his own.
 * - `shared`: one value for all, unprotected. For those who never change what they are given.
 */
export type Isolation = 'frozen' | 'copy' | 'shared';

/**
 * How this process hears of what others change.
 *
 * - `auto`: by tracking, or by the bus where the server refuses tracking.
 * - `tracking`: Redis announces every change, by whomever; without that there are no copies.
 * - `bus`: processes of this package announce to each other what they change.
 */
export type L1Sync = 'auto' | 'tracking' | 'bus';

export interface L1Options {
  /** Entries kept; beyond it those used least recently go. @default 10_000 */
  maxEntries?: number;
  /** Bytes kept, counted by the encoded size of values and the length of keys. @default 67_108_864 (64 MiB) */
  maxBytes?: number;
  /** The longest an entry is kept, whatever its own expiry; a number is seconds. @default '1m' */
  ttl?: Duration;
  /** @default 'frozen' */
  isolation?: Isolation;
  /** The same in all processes that share a namespace. @default 'auto' */
  sync?: L1Sync;
  /** As `ttl`, while the bus is what is heard: it tells nothing of what others do by hand. @default '10s' */
  busTtl?: Duration;
}

export interface ResolvedL1 {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly ttlMs: number;
  readonly isolation: Isolation;
  readonly sync: L1Sync;
  readonly busTtlMs: number;
}

export const L1_DEFAULTS = {
  maxEntries: 10_000,
  maxBytes: 64 * 1024 * 1024,
  ttl: '1m',
  isolation: 'frozen',
  sync: 'auto',
  busTtl: '10s',
} as const satisfies Required<L1Options>;

const ISOLATIONS: readonly string[] = ['frozen', 'copy', 'shared'];
const SYNCS: readonly string[] = ['auto', 'tracking', 'bus'];

/** `false` for no near cache. */
export function resolveL1(options: L1Options | false = {}): ResolvedL1 | false {
  if (options === false) return false;
  const given = { ...L1_DEFAULTS, ...options };
  return {
    maxEntries: positiveInteger(given.maxEntries, 'l1.maxEntries'),
    maxBytes: positiveInteger(given.maxBytes, 'l1.maxBytes'),
    ttlMs: parsePositiveDuration(given.ttl, 'l1.ttl'),
    isolation: oneOf(given.isolation, ISOLATIONS, 'l1.isolation'),
    sync: oneOf(given.sync, SYNCS, 'l1.sync'),
    busTtlMs: parsePositiveDuration(given.busTtl, 'l1.busTtl'),
  };
}

function oneOf<T extends string>(value: T, allowed: readonly string[], name: string): T {
  if (allowed.includes(value)) return value;
  throw new InvalidCacheOptionsError(`cache.${name}: '${value}' is not one of ${allowed.join(', ')}`);
}

function positiveInteger(value: number, name: string): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidCacheOptionsError(`cache.${name}: ${value} is not a whole number above 0`);
}
