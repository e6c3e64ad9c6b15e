/** Options of cached HTTP answers for the whole application. What one route wants stands in its decorator. */
import { RedisModuleError } from '../core/index.js';

export interface CredentialOptions {
  /** @default ['authorization', 'proxy-authorization', 'x-api-key', 'x-auth-token', 'x-access-token'] */
  headers?: readonly string[] | undefined;
  /** Cookies that say who somebody is; a list of names leaves all others out of account. @default 'any' */
  cookies?: 'any' | readonly string[] | undefined;
}

export interface HttpCacheOptions {
  /** Who sends a request, once the guards have run. @default `request.user`: its `id`, `sub` or `userId` */
  principal?: ((request: never) => string | number | bigint | undefined) | undefined;
  /** What marks a request as somebody's: its answer is kept for nobody else. */
  credentials?: CredentialOptions | undefined;
  /**
   * Whether `no-cache`, `max-age`, `min-fresh`, `max-stale` and `only-if-cached` of a request count. Anyone could have
   * the handler run by them, so they do not by default; `no-store` always does. @default 'ignore'
   */
  requestDirectives?: 'ignore' | 'honour' | undefined;
  /** Larger bodies are sent and not stored. @default 1 MiB */
  maxBytes?: number | undefined;
}

/** Somebody's name; `NAMELESS` for somebody whose name can not be read, undefined for nobody. */
export type Principal = string | typeof NAMELESS | undefined;

export interface ResolvedHttpCache {
  readonly principal: (request: unknown) => Principal;
  readonly credentialHeaders: readonly string[];
  readonly credentialCookies: 'any' | ReadonlySet<string>;
  readonly honourRequests: boolean;
  readonly maxBytes: number;
}

export class InvalidHttpCacheOptionsError extends RedisModuleError {
  readonly code = 'INVALID_HTTP_CACHE_OPTIONS';
}

/** An id that is an object, say: whose answer it is can not be told, but that it is somebody's. */
export const NAMELESS = Symbol('nameless');

export const HTTP_CACHE_DEFAULTS = {
  credentialHeaders: ['authorization', 'proxy-authorization', 'x-api-key', 'x-auth-token', 'x-access-token'],
  maxBytes: 1_048_576,
} as const;

export function resolveHttpCache(options: HttpCacheOptions = {}): ResolvedHttpCache {
  const { principal, credentials = {}, maxBytes = HTTP_CACHE_DEFAULTS.maxBytes } = options;
  if (principal !== undefined && typeof principal !== 'function') throw invalid('principal', 'a function');
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) throw invalid('maxBytes', 'a whole number from 1');
  const { headers = HTTP_CACHE_DEFAULTS.credentialHeaders, cookies = 'any' } = credentials;
  return {
    principal: principal === undefined ? userOf : (request) => nameOf(principal(request as never)),
    credentialHeaders: headers.map((name) => name.toLowerCase()),
    credentialCookies: cookies === 'any' ? 'any' : new Set(cookies),
    honourRequests: options.requestDirectives === 'honour',
    maxBytes,
  };
}

/** What passport and most guards leave behind. */
function userOf(request: unknown): Principal {
  const user: unknown = field(request, 'user');
  if (typeof user !== 'object' || user === null) return user === false ? undefined : nameOf(user);
  const names = ['id', 'sub', 'userId'].map((name) => nameOf(field(user, name)));
  return names.find((name) => typeof name === 'string') ?? NAMELESS;
}

/** Of whatever an application calls people by. */
export function nameOf(value: unknown): Principal {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value;
  const isNumber = typeof value === 'bigint' || (typeof value === 'number' && Number.isFinite(value));
  return isNumber ? String(value) : NAMELESS;
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function invalid(name: string, wanted: string): InvalidHttpCacheOptionsError {
  return new InvalidHttpCacheOptionsError(`httpCache.${name}: it is not ${wanted}`);
}
