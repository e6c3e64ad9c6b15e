export { equalJitter, fullJitter, type Backoff, type BackoffRange, type Random } from './backoff.js';
export {
  CircuitBreaker,
  REFUSED,
  type BreakerChange,
  type BreakerState,
  type BreakerWiring,
} from './circuit-breaker.js';
export {
  BREAKER_DEFAULTS,
  InvalidBreakerOptionsError,
  resolveBreaker,
  type BreakerOptions,
  type ResolvedBreaker,
} from './circuit-breaker.options.js';
export { classifyUnknownWork, sparingRefusals, type Classify, type Failure } from './failure.js';
export { Policy, POLICY_DEFAULTS, type Attempt, type PolicyOptions, type PolicyRun } from './policy.js';
export {
  CircuitOpenError,
  InvalidRetryOptionsError,
  isCircuitOpenError,
  type Refusal,
} from './resilience.errors.js';
export { RetryBudget, type RetryBudgetOptions } from './retry-budget.js';
export { RETRY_DEFAULTS, resolveRetry, type ResolvedRetry, type RetryOptions } from './retry.options.js';
export { retry, type RetryNotice, type RetryRun } from './retry.js';
