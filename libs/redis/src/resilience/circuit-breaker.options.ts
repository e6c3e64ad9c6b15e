/** Options of the circuit breaker; see docs/connection.md for what each one changes under load. */
import { parseDuration, parsePositiveDuration, RedisModuleError, type Duration } from '../core/index.js';

export interface BreakerOptions {
  /** Share of failed calls within `window` that opens it, 0 to 1. @default 0.5 */
  failureRate?: number;
  /** Calls that must have been seen in `window` before the rate counts. @default 20 */
  minimumCalls?: number;
  /** How far back calls are counted. @default '10s' */
  window?: Duration;
  /** Failures in a row that open it whatever the rate. @default 5 */
  consecutiveFailures?: number;
  /** A call slower than this counts as slow; `0` turns the slow-call rule off. @default 0 */
  slowCall?: Duration;
  /** Share of slow calls within `window` that opens it. @default 0.8 */
  slowRate?: number;
  /** First time spent open; doubles with each failed probe. @default '500ms' */
  openFor?: Duration;
  /** Longest time spent open. @default '15s' */
  maxOpenFor?: Duration;
  /** Calls let through at once while half-open; the others fail fast. @default 3 */
  probes?: number;
}

export interface ResolvedBreaker {
  readonly failureRate: number;
  readonly minimumCalls: number;
  readonly windowMs: number;
  readonly consecutiveFailures: number;
  /** `Infinity` when the slow-call rule is off. */
  readonly slowCallMs: number;
  readonly slowRate: number;
  readonly openForMs: number;
  readonly maxOpenForMs: number;
  readonly probes: number;
}

export const BREAKER_DEFAULTS = {
  failureRate: 0.5,
  minimumCalls: 20,
  window: '10s',
  consecutiveFailures: 5,
  slowCall: 0,
  slowRate: 0.8,
  openFor: '500ms',
  maxOpenFor: '15s',
  probes: 3,
} as const satisfies Required<BreakerOptions>;

export class InvalidBreakerOptionsError extends RedisModuleError {
  readonly code = 'INVALID_BREAKER_OPTIONS';
}

export function resolveBreaker(options: BreakerOptions = {}): ResolvedBreaker {
  const given = { ...BREAKER_DEFAULTS, ...options };
  const slowCallMs = parseDuration(given.slowCall, 'breaker.slowCall');
  const resolved: ResolvedBreaker = {
    failureRate: given.failureRate,
    minimumCalls: given.minimumCalls,
    windowMs: parsePositiveDuration(given.window, 'breaker.window'),
    consecutiveFailures: given.consecutiveFailures,
    slowCallMs: slowCallMs === 0 ? Number.POSITIVE_INFINITY : slowCallMs,
    slowRate: given.slowRate,
    openForMs: parsePositiveDuration(given.openFor, 'breaker.openFor'),
    maxOpenForMs: parsePositiveDuration(given.maxOpenFor, 'breaker.maxOpenFor'),
    probes: given.probes,
  };
  check('failureRate', resolved.failureRate, SHARE);
  check('slowRate', resolved.slowRate, SHARE);
  check('minimumCalls', resolved.minimumCalls, COUNT);
  check('consecutiveFailures', resolved.consecutiveFailures, COUNT);
  check('probes', resolved.probes, COUNT);
  const atLeastOpenFor: Rule = { valid: (ms) => ms >= resolved.openForMs, wanted: 'at least `openFor`' };
  check('maxOpenFor', resolved.maxOpenForMs, atLeastOpenFor);
  return resolved;
}

interface Rule {
  readonly valid: (value: number) => boolean;
  readonly wanted: string;
}

const SHARE: Rule = { valid: (value) => value > 0 && value <= 1, wanted: 'a share above 0 and up to 1' };
const COUNT: Rule = {
  valid: (value) => Number.isInteger(value) && value >= 1,
  wanted: 'a whole number from 1',
};

function check(name: string, value: number, { valid, wanted }: Rule): void {
  if (valid(value)) return;
  throw new InvalidBreakerOptionsError(`breaker.${name}: ${String(value)} is not ${wanted}`, {
    hint: `give ${wanted}, or leave it out for the default`,
  });
}
