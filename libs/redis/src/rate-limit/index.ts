export type { RateAsk } from './ask.js';
export type { TrustProxy } from './client-address.js';
export type { DecisionSource, LimitState, RateDecision } from './decision.js';
export type { EndpointLimits } from './endpoint-limits.js';
export { fastifyRateLimits, type FastifyHooks, type FastifyRateLimitPlugin } from './fastify-rate-limits.js';
export { gcraScript, gcraState, isPlain } from './gcra.scripts.js';
export {
  LIMIT_DEFAULTS,
  resolveLimit,
  type Limit,
  type LimitAlgorithm,
  type OnStoreError,
  type ResolvedLimit,
} from './limit.options.js';
export { networkOf, parseIp } from './ip-address.js';
export type { RateLimiterStats } from './limiter-stats.js';
export { releasePlacesScript, renewPlacesScript } from './place.scripts.js';
export type { RateLimitProblem } from './problem.js';
export type { RateLimitHeaders } from './rate-headers.js';
export type { CallContext, RateLimitCall } from './rate-limit-call.js';
export { rateLimitCleanup, settleLimitScript } from './rate-limit.cleanup.js';
export { RateLimit, SkipRateLimit } from './rate-limit.decorator.js';
export { InvalidRateLimitError } from './rate-limit.errors.js';
export { RateLimitedException, RateLimitGuard } from './rate-limit.guard.js';
export { RateLimitInterceptor, rateLimitEverywhere } from './rate-limit.interceptor.js';
export { RateLimitKeys } from './rate-limit.keys.js';
export { RateLimitMiddleware } from './rate-limit.middleware.js';
export {
  checkRateLimit,
  RATE_LIMITER_DEFAULTS,
  resolveRateLimiter,
  type DenialMemoryOptions,
  type RateLimiterOptions,
  type RateLimitHttpOptions,
  type RateLimitOptions,
  type ResolvedRateLimiter,
} from './rate-limit.options.js';
export type {
  LimitBy,
  LimitOf,
  LimitPhase,
  LimitTerms,
  RateLimitIdentify,
  RateLimitRule,
} from './rate-limit.rules.js';
export { RateLimiter, type ConsumeOptions, type RateLimiterSurroundings } from './rate-limiter.js';
export { RouteLimits } from './route-limits.js';
export { refundScript, takeScript, type TakeItem, type TakeState, type TakeTerms } from './take.scripts.js';
