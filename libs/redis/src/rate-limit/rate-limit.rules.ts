/** Rules of routes: limits with a say in who is counted, and when. */
import type { Key } from '../connection/index.js';
import type { Duration } from '../core/index.js';
import type { Limit } from './limit.options.js';
import type { RateLimitCall } from './rate-limit-call.js';

/**
 * `'ip'`: the address of the client. `'user'`, `'tenant'`: what authentication has left at the request.
 * `'apiKey'`: the `x-api-key` header, hashed. A function: whatever it returns; nothing for nobody.
 */
export type LimitBy =
  'ip' | 'user' | 'apiKey' | 'tenant' | ((call: RateLimitCall) => Key | undefined | Promise<Key | undefined>);

/** Before the guards that authenticate, or after them. */
export type LimitPhase = 'before-auth' | 'after-auth';

/** What a plan may change about a limit. */
export interface LimitTerms {
  readonly limit: number;
  readonly window?: Duration | undefined;
  readonly burst?: number | undefined;
}

/** A number or, by plan, what a function says for this call. */
export type LimitOf = number | ((call: RateLimitCall) => number | LimitTerms | Promise<number | LimitTerms>);

export interface RateLimitRule extends Omit<Limit, 'limit'> {
  /** How much per window, or a function of the call. */
  limit: LimitOf;
  /** @default 'ip' */
  by?: LimitBy | undefined;
  /** What a call costs. @default 1 */
  cost?: number | ((call: RateLimitCall) => number | Promise<number>) | undefined;
  /** @default 'before-auth' by `'ip'`, else 'after-auth' */
  phase?: LimitPhase | undefined;
  /** Who is exempt. */
  skip?: ((call: RateLimitCall) => boolean | Promise<boolean>) | undefined;
  /** When `by` finds nobody: count the address instead, or do not count. @default 'ip' */
  anonymous?: 'ip' | 'skip' | undefined;
}

/** How `'user'`, `'apiKey'` and `'tenant'` are found. What clients can choose freely limits nobody. */
export interface RateLimitIdentify {
  /** @default `id`, `sub` or `userId` of `request.user` */
  user?: ((call: RateLimitCall) => string | number | undefined) | undefined;
  /** @default the header `x-api-key` */
  apiKey?: ((call: RateLimitCall) => string | number | undefined) | undefined;
  /** @default `tenantId` of `request.user`, `request.tenantId`, `request.tenant.id` */
  tenant?: ((call: RateLimitCall) => string | number | undefined) | undefined;
}

/** Places can only be given back by what surrounds the handler, and that runs after the guards. */
export function phaseOf({ phase, by = 'ip', algorithm }: RateLimitRule): LimitPhase {
  if (algorithm === 'concurrency') return 'after-auth';
  return phase ?? (by === 'ip' ? 'before-auth' : 'after-auth');
}
