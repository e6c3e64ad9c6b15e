/** Reads the arguments of a command, failing with Redis' own words. */
import type { Arg } from '../redis-client.js';
import { toBytes, type Bytes } from './byte-string.js';
import { failure, notAFloat, notAnInteger, syntaxError } from './command-failure.js';
import { parseLong, type LongInteger } from './long-integer.js';
import { parseDouble } from './score.js';

/** A further argument that the syntax asks for. */
export function required(args: readonly Arg[], index: number): Arg {
  const arg = args[index];
  if (arg === undefined) throw syntaxError();
  return arg;
}

export function bytesAt(args: readonly Arg[], index: number): Bytes {
  return toBytes(required(args, index));
}

export function bytesFrom(args: readonly Arg[], start: number): Bytes[] {
  const list: Bytes[] = [];
  for (let i = start; i < args.length; i += 1) list.push(bytesAt(args, i));
  return list;
}

/** An option word, in upper case. */
export function wordAt(args: readonly Arg[], index: number): string {
  return bytesAt(args, index).toUpperCase();
}

export function exactLongAt(args: readonly Arg[], index: number): LongInteger {
  const arg = required(args, index);
  // What its decimal would be read back as, without writing it.
  if (Number.isSafeInteger(arg)) return Number(arg) + 0;
  const value = parseLong(toBytes(arg));
  if (value === undefined) throw notAnInteger();
  return value;
}

/** Beyond 2^53 only approximately, which is enough for indexes, counts and limits. */
export function longAt(args: readonly Arg[], index: number): number {
  return Number(exactLongAt(args, index));
}

/** An optional count that may not be negative; Redis has one text for both ways to be wrong. */
export function countAt(args: readonly Arg[], index: number): number {
  const value = parseLong(bytesAt(args, index));
  if (value === undefined || value < 0) throw failure('value is out of range, must be positive');
  return Number(value);
}

export function doubleAt(args: readonly Arg[], index: number): number {
  const value = parseDouble(bytesAt(args, index));
  if (value === undefined) throw notAFloat();
  return value;
}
