/** Options of a cache: what users write, what the engine works with, and the one way from one to the other. */
import type { CodecOptions } from '../codec/index.js';
import type { Ttl } from '../connection/index.js';
import { parseDuration, parsePositiveDuration, type Duration } from '../core/index.js';
import { InvalidCacheOptionsError } from './cache.errors.js';

export interface LoadTimeoutOptions {
  /** After that a stale value is served while the load goes on; nothing happens without one. @default none */
  soft?: Duration | undefined;
  /** After that the load is aborted and its callers get `CacheLoadTimeoutError`. @default '30s' */
  hard?: Duration | 'never' | undefined;
}

export interface CacheOptions {
  /** How long an entry is fresh; a number counts seconds. `'never'` for no expiry. @default '1h' */
  ttl?: Ttl | undefined;
  /** After its `ttl` an entry is served that long while a new one is loaded. @default '0s' */
  stale?: Duration | undefined;
  /** After its `ttl` an entry is served that long when loading fails. @default '1h' */
  staleOnError?: Duration | undefined;
  /** After a failed load, how long stale values are served without trying again. @default '5s' */
  retryAfter?: Duration | undefined;
  /** How long `null` from a loader is kept. @default the `ttl` */
  negativeTtl?: Duration | undefined;
  /** Loaded entries live shorter by a random share up to this, from 0 to 1. @default 0.1 */
  jitter?: number | undefined;
  /** Load again in the background shortly before the expiry, the sooner the slower the loader. @default true */
  earlyRefresh?: boolean | undefined;
  loadTimeout?: LoadTimeoutOptions | undefined;
  /** Loaders running at the same time in this process; more wait. @default 100 */
  maxLoads?: number | undefined;
  /** A loader whose process died is replaced after that long. @default '2s' */
  lease?: Duration | undefined;
  /** Reads and loads throw when Redis fails, instead of doing without it. @default false */
  strict?: boolean | undefined;
  /**
   * What `set`, `setMany`, `hset` and `expire` do when Redis fails; with `'ignore'` the old value may stay.
   * Whatever deletes or invalidates always rejects. @default 'reject'
   */
  onWriteError?: 'reject' | 'ignore' | undefined;
  /** @default what the module was given */
  codec?: CodecOptions | undefined;
  /** The shape's own version, 0 to 65,535: entries with another one are misses. @default 0 */
  schema?: number | undefined;
}

export interface ResolvedCache {
  /** Undefined for no expiry. */
  readonly ttlMs: number | undefined;
  readonly staleMs: number;
  readonly staleOnErrorMs: number;
  readonly retryAfterMs: number;
  readonly negativeTtlMs: number | undefined;
  readonly jitter: number;
  readonly earlyRefresh: boolean;
  readonly softTimeoutMs: number;
  readonly hardTimeoutMs: number;
  readonly maxLoads: number;
  readonly leaseMs: number;
  readonly strict: boolean;
  readonly ignoreWriteErrors: boolean;
  readonly codec: CodecOptions | undefined;
  readonly schema: number;
}

export const CACHE_DEFAULTS = {
  ttl: '1h',
  stale: '0s',
  staleOnError: '1h',
  retryAfter: '5s',
  jitter: 0.1,
  earlyRefresh: true,
  hardTimeout: '30s',
  maxLoads: 100,
  lease: '2s',
  strict: false,
  onWriteError: 'reject',
  schema: 0,
} as const;

/** A lease is renewed three times in its life, and each renewal has to get through. */
const SHORTEST_LEASE_MS = 100;

export function resolveCache(options: CacheOptions = {}): ResolvedCache {
  const { soft, hard = CACHE_DEFAULTS.hardTimeout } = options.loadTimeout ?? {};
  return {
    ttlMs: ttlOf(options.ttl ?? CACHE_DEFAULTS.ttl),
    staleMs: parseDuration(options.stale ?? CACHE_DEFAULTS.stale, 'cache.stale'),
    staleOnErrorMs: parseDuration(options.staleOnError ?? CACHE_DEFAULTS.staleOnError, 'cache.staleOnError'),
    retryAfterMs: parsePositiveDuration(options.retryAfter ?? CACHE_DEFAULTS.retryAfter, 'cache.retryAfter'),
    negativeTtlMs: optional(options.negativeTtl, 'cache.negativeTtl'),
    jitter: within('jitter', options.jitter ?? CACHE_DEFAULTS.jitter, [0, 1]),
    earlyRefresh: options.earlyRefresh ?? CACHE_DEFAULTS.earlyRefresh,
    softTimeoutMs: soft === undefined ? Infinity : parsePositiveDuration(soft, 'cache.loadTimeout.soft'),
    hardTimeoutMs: hard === 'never' ? Infinity : parsePositiveDuration(hard, 'cache.loadTimeout.hard'),
    maxLoads: whole('maxLoads', options.maxLoads ?? CACHE_DEFAULTS.maxLoads, [1, 1_000_000]),
    leaseMs: leaseOf(options.lease ?? CACHE_DEFAULTS.lease),
    strict: options.strict ?? CACHE_DEFAULTS.strict,
    ignoreWriteErrors: (options.onWriteError ?? CACHE_DEFAULTS.onWriteError) === 'ignore',
    codec: options.codec,
    schema: whole('schema', options.schema ?? CACHE_DEFAULTS.schema, [0, 65_535]),
  };
}

/** Options, and for what they leave open those below; `undefined` leaves it open, too. */
export function completed(options: CacheOptions, below: CacheOptions): CacheOptions {
  const said = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...below, ...Object.fromEntries(said) };
}

/** Milliseconds, or undefined for `'never'`. */
export function ttlOf(ttl: Ttl): number | undefined {
  if (ttl === 'never') return undefined;
  // Calls write the same few texts again and again, and reading one costs as much as a hit in memory.
  const known = KNOWN_TTLS.get(ttl);
  if (known !== undefined) return known;
  const ms = parsePositiveDuration(ttl, 'ttl');
  if (KNOWN_TTLS.size < MOST_KNOWN_TTLS) KNOWN_TTLS.set(ttl, ms);
  return ms;
}

const MOST_KNOWN_TTLS = 256;
const KNOWN_TTLS = new Map<Ttl, number>();

function optional(value: Duration | undefined, name: string): number | undefined {
  return value === undefined ? undefined : parsePositiveDuration(value, name);
}

function leaseOf(value: Duration): number {
  const ms = parsePositiveDuration(value, 'cache.lease');
  if (ms >= SHORTEST_LEASE_MS) return ms;
  throw new InvalidCacheOptionsError(
    `cache.lease: '${String(value)}' is shorter than ${SHORTEST_LEASE_MS} ms`,
  );
}

function within(name: string, value: number, [least, most]: readonly [number, number]): number {
  if (value >= least && value <= most) return value;
  throw new InvalidCacheOptionsError(
    `cache.${name}: ${String(value)} is not a number from ${least} to ${most}`,
  );
}

function whole(name: string, value: number, range: readonly [number, number]): number {
  if (Number.isInteger(value)) return within(name, value, range);
  throw new InvalidCacheOptionsError(`cache.${name}: ${String(value)} is not a whole number`);
}
