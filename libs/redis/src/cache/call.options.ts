/** Options of one call, and what they come to together with those of the cache. */
import type { Key, Ttl } from '../connection/index.js';
import { parseDuration, parsePositiveDuration, type Duration } from '../core/index.js';
import { ttlOf, type LoadTimeoutOptions, type ResolvedCache } from './cache.options.js';

/**
 * Where an answer came from: `bypass` is a loader's value that Redis never saw, because it failed; `fallback` is what
 * a `FallbackCache` holds for the time Redis is away.
 */
export type CacheOutcome = 'l1' | 'l2' | 'fallback' | 'stale' | 'loaded' | 'negative' | 'bypass' | 'miss';

/** Told as soon as it is settled whether the loader of a call is needed: for one loader of many calls. */
export const DECIDED = Symbol('anbar:decided');

/** What is stored will not do: the loader runs, under the same fence as every other load. */
export const ANEW = Symbol('anbar:anew');

export interface ReadOptions {
  signal?: AbortSignal | undefined;
  /** Told where the answer came from, before it is handed over. */
  onOutcome?: ((outcome: CacheOutcome) => void) | undefined;
  /** @internal */
  [DECIDED]?: (() => void) | undefined;
}

export interface GetOptions extends ReadOptions {
  /** An entry past its `ttl` by at most that much is good enough. @default '0s' */
  stale?: Duration | undefined;
}

export interface CacheSetOptions {
  /** @default the cache's */
  ttl?: Ttl | undefined;
  tags?: readonly string[] | undefined;
  signal?: AbortSignal | undefined;
}

export interface LoadOptions extends ReadOptions {
  /** @default the cache's, as for all that follow */
  ttl?: Ttl | undefined;
  tags?: readonly string[] | undefined;
  stale?: Duration | undefined;
  staleOnError?: Duration | undefined;
  negativeTtl?: Duration | undefined;
  timeout?: LoadTimeoutOptions | undefined;
  /** @internal */
  [ANEW]?: boolean | undefined;
}

/** What a loader is told, and what it may decide. */
export interface LoadContext<T = unknown> {
  readonly key: Key;
  /** Aborted when nobody waits any more, when the time is up, and when the cache closes. */
  readonly signal: AbortSignal;
  /** The value that is being replaced, if there still is one: for conditional requests. */
  readonly stale: T | undefined;
  readonly setTtl: (ttl: Ttl) => void;
  readonly setTags: (tags: readonly string[]) => void;
  /** The value is returned and not stored. */
  readonly skip: () => void;
}

export type Loader<T> = (context: LoadContext<T>) => Promise<T> | T;

export interface ResolvedLoad {
  readonly ttlMs: number | undefined;
  readonly tags: readonly string[];
  readonly staleMs: number;
  readonly staleOnErrorMs: number;
  readonly negativeTtlMs: number | undefined;
  readonly softTimeoutMs: number;
  readonly hardTimeoutMs: number;
}

const NO_TAGS: readonly string[] = Object.freeze([]);

export function resolveLoad(options: LoadOptions, cache: ResolvedCache): ResolvedLoad {
  const { soft, hard } = options.timeout ?? {};
  return {
    ttlMs: options.ttl === undefined ? cache.ttlMs : ttlOf(options.ttl),
    tags: options.tags === undefined ? NO_TAGS : distinct(options.tags),
    staleMs: options.stale === undefined ? cache.staleMs : parseDuration(options.stale, 'stale'),
    staleOnErrorMs:
      options.staleOnError === undefined
        ? cache.staleOnErrorMs
        : parseDuration(options.staleOnError, 'staleOnError'),
    negativeTtlMs:
      options.negativeTtl === undefined
        ? cache.negativeTtlMs
        : parsePositiveDuration(options.negativeTtl, 'negativeTtl'),
    softTimeoutMs: soft === undefined ? cache.softTimeoutMs : parsePositiveDuration(soft, 'timeout.soft'),
    hardTimeoutMs: hardOf(hard, cache),
  };
}

function hardOf(hard: LoadTimeoutOptions['hard'], cache: ResolvedCache): number {
  if (hard === undefined) return cache.hardTimeoutMs;
  return hard === 'never' ? Infinity : parsePositiveDuration(hard, 'timeout.hard');
}

export function distinct(tags: readonly string[]): readonly string[] {
  return tags.length < 2 ? tags : [...new Set(tags)];
}

/** The longest something stored by that load may lie there; 0 for ever. */
export function lifetimeOf({ ttlMs, staleMs, staleOnErrorMs }: ResolvedLoad): number {
  return ttlMs === undefined ? 0 : ttlMs + Math.max(staleMs, staleOnErrorMs);
}
