/** `EX`, `PX`, `EXAT`, `PXAT` and their limits, as `SET`, `GETEX` and the `EXPIRE` family take them. */
import { invalidExpireTime } from './command-failure.js';
import type { LongInteger } from './long-integer.js';

export interface ExpiryUnit {
  readonly seconds: boolean;
  /** A point in time, not a span. */
  readonly absolute: boolean;
}

const UNITS: ReadonlyMap<string, ExpiryUnit> = new Map([
  ['EX', { seconds: true, absolute: false }],
  ['PX', { seconds: false, absolute: false }],
  ['EXAT', { seconds: true, absolute: true }],
  ['PXAT', { seconds: false, absolute: true }],
]);

export interface GivenExpiry {
  readonly unit: ExpiryUnit;
  readonly value: LongInteger;
  /** For the error text. */
  readonly command: string;
}

const HIGHEST = 2n ** 63n - 1n;

export function expiryUnit(word: string): ExpiryUnit | undefined {
  return UNITS.get(word);
}

/** Milliseconds of the server's clock; only times after 1970 are let through. */
export function expiryOfOption(given: GivenExpiry, now: number): number {
  if (given.value <= 0) throw invalidExpireTime(given.command);
  return Number(pointInTime(given, now));
}

/** As `EXPIRE` reads it: the past is allowed, an overflow is not. */
export function pointInTime(given: GivenExpiry, now: number): LongInteger {
  const { unit, value, command } = given;
  const inMs = unit.seconds ? inMilliseconds(value, command) : value;
  if (unit.absolute) return inMs;
  if (typeof inMs === 'number' && Number.isSafeInteger(inMs + now)) return inMs + now;
  const sum = BigInt(inMs) + BigInt(now);
  if (sum > HIGHEST) throw invalidExpireTime(command);
  return sum;
}

function inMilliseconds(value: LongInteger, command: string): LongInteger {
  if (typeof value === 'number' && Number.isSafeInteger(value * 1_000)) return value * 1_000;
  const ms = BigInt(value) * 1_000n;
  if (ms > HIGHEST || ms < -HIGHEST - 1n) throw invalidExpireTime(command);
  return ms;
}
