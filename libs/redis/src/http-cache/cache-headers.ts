/** The headers of a cached answer: where it came from, how old it is, and how long a client may keep it. */
import { parseDuration } from '../core/index.js';
import { ttlOf, type CacheableOptions } from '../cache/index.js';
import { namesIn, textOf } from './answer-policy.js';
import type { Exchange } from './exchange.js';

/** Whose member of `Cache-Status` it is (RFC 9211). */
const CACHE = '"anbar"';

/** What the route's options come to, once per route. */
export interface RouteHeaders {
  readonly ttlS: number | undefined;
  readonly clientTtlS: number;
  readonly vary: readonly string[];
  readonly public: boolean;
  readonly extensions: string;
}

export function routeHeaders(options: CacheableOptions<never>): RouteHeaders {
  const { ttl, stale, staleOnError, clientTtl = 0, vary = [] } = options;
  const ttlMs = ttl === undefined ? undefined : ttlOf(ttl);
  return {
    ttlS: ttlMs === undefined ? undefined : Math.floor(ttlMs / 1_000),
    clientTtlS: Math.floor(parseDuration(clientTtl, 'clientTtl') / 1_000),
    vary: vary.map((name) => name.toLowerCase()),
    public: options.public ?? false,
    extensions:
      stale === undefined && staleOnError === undefined
        ? ''
        : `${seconds('stale-while-revalidate', stale)}${seconds('stale-if-error', staleOnError)}`,
  };
}

/**
 * What clients may do with it. They may keep it, and have to ask before they use it again: what this cache holds can
 * be invalidated, a client's copy can not. `clientTtl` counts from now, hence the age in front of it.
 */
export function cacheControl(route: RouteHeaders, facts: { ageS: number; personal: boolean }): string {
  const scope = route.public && !facts.personal ? 'public' : 'private';
  if (route.clientTtlS === 0) return `${scope}, no-cache`;
  const left = route.ttlS === undefined ? route.clientTtlS : Math.max(0, route.ttlS - facts.ageS);
  return `${scope}, max-age=${facts.ageS + Math.min(route.clientTtlS, left)}${route.extensions}`;
}

/** A hit; a negative `ttl` says for how long it has been stale. */
export function hitStatus(outcome: string, ttlS: number | undefined, ageS: number): string {
  const ttl = ttlS === undefined ? '' : `; ttl=${ttlS - ageS}`;
  return `${CACHE}; hit${ttl}; detail=${outcome}`;
}

export function forwardStatus(reason: string, more = ''): string {
  return `${CACHE}; fwd=${reason}${more}`;
}

/** That it is no hit, and why; behind what servers nearer to the origin have said. */
export function mark(exchange: Exchange, word: 'MISS' | 'BYPASS', status: string): void {
  exchange.setHeader('x-cache', word);
  const before = textOf(exchange.answered('cache-status'));
  exchange.setHeader('cache-status', before === '' ? status : `${before}, ${status}`);
}

/** What others have put there stays: `Origin` of a CORS middleware, `Accept-Encoding` of a compression. */
export function mergedVary(before: string, names: readonly string[]): string {
  const known = namesIn(before);
  const missing = names.filter((name) => !known.includes(name));
  return [...(before === '' ? [] : [before]), ...missing].join(', ');
}

function seconds(name: string, duration: CacheableOptions<never>['stale']): string {
  return duration === undefined ? '' : `, ${name}=${Math.floor(parseDuration(duration, name) / 1_000)}`;
}
