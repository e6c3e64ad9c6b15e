/**
 * Durations as users write them: `'30s'`, or a plain number of **seconds** as in Redis `EX`. Parsed once, at
 * the edge; everything inside works in milliseconds.
 */
import { RedisModuleError } from './error.js';

export type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd';

/** `'500ms' | '30s' | '5m' | '1h' | '1d'`, or a number of seconds. */
export type Duration = number | `${number}${DurationUnit}`;

const MILLISECONDS: Readonly<Record<DurationUnit, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** About 285 years: far beyond any expiry, and still exact in a double and in Redis' own arithmetic. */
const LONGEST_MS = 9_000_000_000_000;

export class InvalidDurationError extends RedisModuleError {
  readonly code = 'INVALID_DURATION';
}

/** Milliseconds, rounded to a whole one; anything that is not a duration throws with the value in the text. */
export function parseDuration(value: Duration, name = 'duration'): number {
  const ms = typeof value === 'number' ? value * 1_000 : parseText(value);
  if (!Number.isFinite(ms) || ms < 0 || ms > LONGEST_MS) throw invalid(value, name);
  const rounded = Math.round(ms);
  if (rounded === 0 && ms > 0) throw invalid(value, name);
  return rounded;
}

/** As {@link parseDuration}, and zero is refused too: for everything that expires or times out. */
export function parsePositiveDuration(value: Duration, name = 'duration'): number {
  const ms = parseDuration(value, name);
  if (ms === 0) throw invalid(value, name);
  return ms;
}

export function isDuration(value: unknown): value is Duration {
  if (typeof value !== 'number' && typeof value !== 'string') return false;
  try {
    parseDuration(value as Duration);
    return true;
  } catch {
    return false;
  }
}

function parseText(text: unknown): number {
  const match = typeof text === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/u.exec(text.trim()) : null;
  const [, amount, unit] = match ?? [];
  if (amount === undefined || unit === undefined) return Number.NaN;
  return Number(amount) * MILLISECONDS[unit as DurationUnit];
}

function invalid(value: unknown, name: string): InvalidDurationError {
  const shown = typeof value === 'string' ? `'${value.slice(0, 40)}'` : String(value);
  return new InvalidDurationError(`${name}: ${shown} is not a duration`, {
    hint: "write '500ms', '30s', '5m', '1h' or '1d', or a number of seconds",
  });
}
