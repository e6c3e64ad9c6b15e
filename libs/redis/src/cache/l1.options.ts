/** Options of the near cache (L1), as users write them and as it uses them. See docs/near-cache.md. */
import { parsePositiveDuration, type Duration } from '../core/index.js';
import { InvalidCacheOptionsError } from './cache.errors.js';

/**
 * How callers are kept from changing what others read.
 *
 * - `frozen`: one value for all, frozen when it is stored; what can not be frozen is copied.
 * - `copy`: every caller gets a copy of his own.
 * - `shared`: one value for all, unprotected. For those who never change what they are given.
 */
export type Isolation = 'frozen' | 'copy' | 'shared';

export interface L1Options {
  /** Entries kept; beyond it those used least recently go. @default 10_000 */
  maxEntries?: number;
  /** Bytes kept, counted by the encoded size of values and the length of keys. @default 67_108_864 (64 MiB) */
  maxBytes?: number;
  /** The longest an entry is kept, whatever its own expiry; a number is seconds. @default '1m' */
  ttl?: Duration;
  /** @default 'frozen' */
  isolation?: Isolation;
}

export interface ResolvedL1 {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly ttlMs: number;
  readonly isolation: Isolation;
}

export const L1_DEFAULTS = {
  maxEntries: 10_000,
  maxBytes: 64 * 1024 * 1024,
  ttl: '1m',
  isolation: 'frozen',
} as const satisfies Required<L1Options>;

const ISOLATIONS: readonly string[] = ['frozen', 'copy', 'shared'];

/** `false` for no near cache. */
export function resolveL1(options: L1Options | false = {}): ResolvedL1 | false {
  if (options === false) return false;
  const given = { ...L1_DEFAULTS, ...options };
  if (!ISOLATIONS.includes(given.isolation)) {
    throw new InvalidCacheOptionsError(
      `cache.l1.isolation: '${given.isolation}' is not one of ${ISOLATIONS.join(', ')}`,
    );
  }
  return {
    maxEntries: positiveInteger(given.maxEntries, 'l1.maxEntries'),
    maxBytes: positiveInteger(given.maxBytes, 'l1.maxBytes'),
    ttlMs: parsePositiveDuration(given.ttl, 'l1.ttl'),
    isolation: given.isolation,
  };
}

function positiveInteger(value: number, name: string): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidCacheOptionsError(`cache.${name}: ${value} is not a whole number above 0`);
}
