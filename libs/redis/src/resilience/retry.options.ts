/** Options of the retry layer: the only one there is, for layers of retries multiply. */
import { parseDuration, type Duration } from '../core/index.js';
import { InvalidRetryOptionsError } from './resilience.errors.js';

export interface RetryOptions {
  /** Tries per call, the first one included. @default 3 */
  attempts?: number;
  /** Retries allowed per call that succeeds, over all calls; `0` forbids them. @default 0.1 */
  budget?: number;
  /** The first delay is random between 0 and this. @default '10ms' */
  baseDelay?: Duration;
  /** The random range never grows beyond this. @default '100ms' */
  maxDelay?: Duration;
}

export interface ResolvedRetry {
  readonly attempts: number;
  readonly budget: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

export const RETRY_DEFAULTS = {
  attempts: 3,
  budget: 0.1,
  baseDelay: '10ms',
  maxDelay: '100ms',
} as const satisfies Required<RetryOptions>;

export function resolveRetry(options: RetryOptions = {}): ResolvedRetry {
  const given = { ...RETRY_DEFAULTS, ...options };
  if (!Number.isInteger(given.attempts) || given.attempts < 1) {
    throw invalid('attempts', given.attempts, 'a whole number from 1');
  }
  if (!(given.budget >= 0 && given.budget <= 1)) {
    throw invalid('budget', given.budget, 'a share from 0 to 1');
  }
  return {
    attempts: given.attempts,
    budget: given.budget,
    baseDelayMs: parseDuration(given.baseDelay, 'retry.baseDelay'),
    maxDelayMs: parseDuration(given.maxDelay, 'retry.maxDelay'),
  };
}

function invalid(name: string, value: number, wanted: string): InvalidRetryOptionsError {
  return new InvalidRetryOptionsError(`retry.${name}: ${String(value)} is not ${wanted}`, {
    hint: `give ${wanted}, or leave it out for the default`,
  });
}
