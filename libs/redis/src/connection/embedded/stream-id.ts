/** Ids of stream entries: two unsigned 64-bit numbers, here one `bigint` that compares as they do. */
import type { Arg } from '../redis-client.js';
import { bytesAt } from './arguments.js';
import { asciiBytes, type Bytes } from './byte-string.js';
import { failure } from './command-failure.js';

const HALF = 64n;
const LARGEST_HALF = 2n ** 64n - 1n;
export const LOWEST_ID = 0n;
export const HIGHEST_ID = 2n ** 128n - 1n;

export function streamId(ms: bigint, sequence: bigint): bigint {
  return (ms << HALF) | sequence;
}

export function msOf(id: bigint): bigint {
  return id >> HALF;
}

export function sequenceOf(id: bigint): bigint {
  return id & LARGEST_HALF;
}

export function formatId(id: bigint): Bytes {
  return asciiBytes(`${msOf(id)}-${sequenceOf(id)}`);
}

function invalidId(): Error {
  return failure('Invalid stream ID specified as stream command argument');
}

/** `ms` or `ms-sequence`; `missing` stands in for a sequence that was left out. */
export function parseId(text: string, missing: bigint): bigint {
  const match = /^(\d{1,20})(?:-(\d{1,20}))?$/u.exec(text);
  if (match === null) throw invalidId();
  const ms = BigInt(match[1] ?? '');
  const sequence = match[2] === undefined ? missing : BigInt(match[2]);
  if (ms > LARGEST_HALF || sequence > LARGEST_HALF) throw invalidId();
  return streamId(ms, sequence);
}

export function idAt(args: readonly Arg[], index: number): bigint {
  return parseId(bytesAt(args, index), 0n);
}

/** A bound of a range: `-`, `+`, an id, or `(` in front of one that is left out. */
export function boundAt(args: readonly Arg[], index: number, side: 'start' | 'end'): bigint {
  const text = bytesAt(args, index);
  if (text === '-') return LOWEST_ID;
  if (text === '+') return HIGHEST_ID;
  const exclusive = text.startsWith('(');
  const missing = side === 'start' ? 0n : LARGEST_HALF;
  const id = parseId(exclusive ? text.slice(1) : text, missing);
  if (!exclusive) return id;
  if (side === 'start' && id === HIGHEST_ID) throw failure('invalid start ID for the interval');
  if (side === 'end' && id === LOWEST_ID) throw failure('invalid end ID for the interval');
  return side === 'start' ? id + 1n : id - 1n;
}
