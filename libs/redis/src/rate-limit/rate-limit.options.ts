/** Options of the limiter as a whole. Those of one limit are in `limit.options.ts`. */
import { parseDuration, parsePositiveDuration, type Duration } from '../core/index.js';
import { ClientAddress, type TrustProxy } from './client-address.js';
import { EndpointTable, type EndpointLimits } from './endpoint-limits.js';
import { LIMIT_DEFAULTS, resolveLimit, type OnStoreError } from './limit.options.js';
import type { RateLimitHeaders } from './rate-headers.js';
import { InvalidRateLimitError } from './rate-limit.errors.js';
import type { RateLimitIdentify, RateLimitRule } from './rate-limit.rules.js';
import { nameRules } from './rule-names.js';

export interface DenialMemoryOptions {
  /** Denials a process remembers, so that floods do not reach Redis. @default 10_000 */
  maxEntries?: number | undefined;
  /** For how long at most: a refund by another process is seen after that. @default '1s' */
  longest?: Duration | undefined;
}

export interface RateLimiterOptions {
  /** For limits that say nothing of their own. @default 'local' */
  onStoreError?: OnStoreError | undefined;
  /** How many processes share the limits; while Redis is away each enforces its part. @default 1 */
  replicas?: number | undefined;
  /** How long Redis may take before `onStoreError` decides. @default the client's `timeout` */
  timeout?: Duration | undefined;
  /** `false` asks Redis every time. */
  denials?: DenialMemoryOptions | false | undefined;
}

/** What limits of routes need beside. */
export interface RateLimitHttpOptions {
  /**
   * How many proxies stand in front, or their addresses: `1`, `'private'`, `['10.0.0.0/8']`. @default false, which
   * takes the address of the socket
   */
  trustProxy?: TrustProxy | undefined;
  /** How many bits of an IPv6 address are one client. @default 64 */
  ipv6Prefix?: number | undefined;
  /** What answers tell of the limits. @default 'draft' */
  headers?: RateLimitHeaders | undefined;
  /** How users, API keys and tenants are recognised. */
  identify?: RateLimitIdentify | undefined;
  /** Rules of every route the guard stands before. @default none */
  limits?: readonly RateLimitRule[] | undefined;
  /** Limits of `RateLimitMiddleware`, by method and path. @default none */
  endpoints?: EndpointLimits | undefined;
}

/** `rateLimit` of the module. */
export interface RateLimitOptions extends RateLimiterOptions, RateLimitHttpOptions {}

export interface ResolvedRateLimiter {
  readonly onStoreError: OnStoreError;
  readonly replicas: number;
  readonly timeout: Duration | undefined;
  readonly denials: { readonly maxEntries: number; readonly longestMs: number } | undefined;
}

export const RATE_LIMITER_DEFAULTS = {
  onStoreError: 'local',
  replicas: 1,
  denials: { maxEntries: 10_000, longest: '1s' },
} as const;

const MAX_REPLICAS = 100_000;
const MAX_DENIALS = 10_000_000;

export function resolveRateLimiter(options: RateLimiterOptions = {}): ResolvedRateLimiter {
  const { timeout } = options;
  if (timeout !== undefined) parsePositiveDuration(timeout, 'rateLimit.timeout');
  const onStoreError = options.onStoreError ?? RATE_LIMITER_DEFAULTS.onStoreError;
  if (!['local', 'open', 'closed'].includes(onStoreError)) {
    throw new InvalidRateLimitError(
      `rateLimit.onStoreError: '${onStoreError as string}' is none of local, open and closed`,
    );
  }
  return {
    onStoreError,
    replicas: count('replicas', options.replicas ?? RATE_LIMITER_DEFAULTS.replicas, MAX_REPLICAS),
    timeout,
    denials: denialsOf(options.denials),
  };
}

function denialsOf(given: RateLimiterOptions['denials']): ResolvedRateLimiter['denials'] {
  if (given === false) return undefined;
  const { maxEntries, longest } = { ...RATE_LIMITER_DEFAULTS.denials, ...given };
  const longestMs = parseDuration(
    longest ?? RATE_LIMITER_DEFAULTS.denials.longest,
    'rateLimit.denials.longest',
  );
  const most = maxEntries ?? RATE_LIMITER_DEFAULTS.denials.maxEntries;
  return longestMs === 0
    ? undefined
    : { maxEntries: count('denials.maxEntries', most, MAX_DENIALS), longestMs };
}

function count(name: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new InvalidRateLimitError(
    `rateLimit.${name}: ${String(value)} is not a whole number from 1 to ${most}`,
  );
}

/** Throws for what can not be meant; what a rule's function returns is judged when it is asked. */
export function checkRateLimit(options: RateLimitOptions = {}): void {
  const { onStoreError } = resolveRateLimiter(options);
  const { trustProxy, ipv6Prefix, limits = [], endpoints = {} } = options;
  void new ClientAddress({ trustProxy, ipv6Prefix });
  void new EndpointTable(endpoints);
  nameRules('rateLimit.limits', limits, LIMIT_DEFAULTS.name);
  for (const rule of [...limits, ...Object.values(endpoints).flat()]) {
    resolveLimit({ ...rule, limit: typeof rule.limit === 'number' ? rule.limit : 1 }, onStoreError);
  }
}
