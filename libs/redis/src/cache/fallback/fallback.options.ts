/** Options of the fallback: what users write, and what they come to. */
import { InvalidCacheOptionsError } from '../cache.errors.js';

export interface FallbackOptions {
  /** Entries kept in this process for the time Redis is away. @default 50_000 */
  maxEntries?: number | undefined;
  /** Bytes of them, keys and values, by estimate. @default 67_108_864 (64 MiB) */
  maxBytes?: number | undefined;
  /**
   * Changes remembered while Redis is away: keys, tags, prefixes and hash fields. More of them become one flush of
   * the namespace when it is back. @default 10_000
   */
  journal?: number | undefined;
}

export interface ResolvedFallback {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly journal: number;
}

export const FALLBACK_DEFAULTS = {
  maxEntries: 50_000,
  maxBytes: 64 * 1024 * 1024,
  journal: 10_000,
} as const;

export function resolveFallback(options: FallbackOptions = {}): ResolvedFallback {
  return {
    maxEntries: atLeast('maxEntries', options.maxEntries ?? FALLBACK_DEFAULTS.maxEntries, 1),
    maxBytes: atLeast('maxBytes', options.maxBytes ?? FALLBACK_DEFAULTS.maxBytes, 1),
    journal: atLeast('journal', options.journal ?? FALLBACK_DEFAULTS.journal, 0),
  };
}

function atLeast(name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new InvalidCacheOptionsError(
    `fallback.${name}: ${String(value)} is not a whole number from ${least} on`,
  );
}
