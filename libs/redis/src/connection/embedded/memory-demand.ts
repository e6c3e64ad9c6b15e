/** Estimates what a command may add, and makes room for it before it runs. */
import type { Arg } from '../redis-client.js';
import { toBytes, type Bytes } from './byte-string.js';
import type { CommandSpec, CreatedKeys } from './command-spec.js';
import type { Keyspace } from './keyspace.js';
import { MEMBER_WEIGHT, STRING_WEIGHT } from './value.js';

const PER_ARGUMENT = MEMBER_WEIGHT + STRING_WEIGHT;

/** Evicts as needed; false when the command has to be refused. */
export function makeRoomFor(spec: CommandSpec, args: readonly Arg[], keyspace: Keyspace): boolean {
  const bytes = bytesOf(args);
  // Nearly always there is plenty of room: assume that every argument becomes an entry, and look no closer.
  if (keyspace.fits(args.length, bytes)) return true;
  const keys = createdKeys(spec, args);
  while (!fitsClosely({ keys, bytes, replaces: spec.replaces }, keyspace)) {
    if (!keyspace.evictOne()) return false;
  }
  return true;
}

interface CloseDemand {
  readonly keys: readonly Bytes[];
  readonly bytes: number;
  readonly replaces: boolean;
}

/** Asked anew after each eviction, which may have hit one of the very keys. */
function fitsClosely({ keys, bytes, replaces }: CloseDemand, keyspace: Keyspace): boolean {
  let missing = 0;
  let freed = 0;
  for (const key of keys) {
    const entry = keyspace.peek(key);
    if (entry === undefined) missing += 1;
    else if (replaces) freed += entry.weight;
  }
  return keyspace.fits(missing, bytes - freed);
}

function bytesOf(args: readonly Arg[]): number {
  let bytes = 0;
  for (const arg of args) bytes += PER_ARGUMENT + (typeof arg === 'number' ? 0 : arg.length);
  return bytes;
}

const CREATED_KEYS: Readonly<Record<CreatedKeys, (arg: Arg, index: number) => boolean>> = {
  none: () => false,
  first: (_, index) => index === 0,
  second: (_, index) => index === 1,
  pairs: (_, index) => index % 2 === 0,
};

function createdKeys(spec: CommandSpec, args: readonly Arg[]): Bytes[] {
  return args.filter(CREATED_KEYS[spec.creates]).map(toBytes);
}
