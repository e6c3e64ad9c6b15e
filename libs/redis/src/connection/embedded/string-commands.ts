/** Commands on strings, except the counting ones. */
import type { Arg } from '../redis-client.js';
import { bytesAt, exactLongAt, longAt, wordAt } from './arguments.js';
import { asciiBytes, concatBytes, sliceBytes, zeroBytes, type Bytes } from './byte-string.js';
import { failure, syntaxError, wrongArity } from './command-failure.js';
import { grow, read, shrink, type CommandContext, type CommandSpec } from './command-spec.js';
import { OK, type EngineReply } from './engine-reply.js';
import { NEVER } from './entry-table.js';
import { expiryOfOption, expiryUnit, type ExpiryUnit, type GivenExpiry } from './expiry-options.js';

const EMPTY = asciiBytes('');
/** `proto-max-bulk-len` of a server as it comes. */
const LONGEST_STRING = 512 * 1024 * 1024;

interface SetOptions {
  only: 'absent' | 'present' | undefined;
  returnOld: boolean;
  keepExpiry: boolean;
  persist: boolean;
  expiry: { readonly unit: ExpiryUnit; readonly index: number; readonly word: string } | undefined;
}

function get(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  return keyspace.readString(bytesAt(args, 0)) ?? null;
}

function set(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const key = bytesAt(args, 0);
  const value = bytesAt(args, 1);
  if (args.length === 2) {
    keyspace.put(key, value, NEVER);
    return OK;
  }
  const options = parseSetOptions(args);
  const given = expiryGiven(args, options, 'set');
  const expiresAt = given === undefined ? NEVER : expiryOfOption(given, keyspace.now);
  const old = options.returnOld ? (keyspace.readString(key) ?? null) : null;
  const entry = keyspace.peek(key);
  const refused = options.only !== undefined && (entry === undefined) !== (options.only === 'absent');
  if (refused) return old;
  keyspace.put(key, value, options.keepExpiry ? (entry?.expiresAt ?? NEVER) : expiresAt);
  return options.returnOld ? old : OK;
}

function parseSetOptions(args: readonly Arg[]): SetOptions {
  const options = noOptions();
  for (let i = 2; i < args.length; i += 1) {
    const word = wordAt(args, i);
    if (word === 'NX' && options.only !== 'present') options.only = 'absent';
    else if (word === 'XX' && options.only !== 'absent') options.only = 'present';
    else if (word === 'GET') options.returnOld = true;
    else if (word === 'KEEPTTL' && options.expiry === undefined) options.keepExpiry = true;
    else i = parseExpiryOption(args, i, options);
  }
  return options;
}

function noOptions(): SetOptions {
  return { only: undefined, returnOld: false, keepExpiry: false, persist: false, expiry: undefined };
}

/** Reads `EX 10` and its like at `index`; returns the index of the last argument it took. */
function parseExpiryOption(args: readonly Arg[], index: number, options: SetOptions): number {
  const word = wordAt(args, index);
  const unit = expiryUnit(word);
  const taken = options.keepExpiry || options.persist;
  const other = options.expiry !== undefined && options.expiry.word !== word;
  if (unit === undefined || taken || other || index + 1 >= args.length) throw syntaxError();
  options.expiry = { unit, index: index + 1, word };
  return index + 1;
}

function expiryGiven(args: readonly Arg[], options: SetOptions, command: string): GivenExpiry | undefined {
  if (options.expiry === undefined) return undefined;
  const { unit, index } = options.expiry;
  return { unit, value: exactLongAt(args, index), command };
}

function setWithExpiry(command: 'setex' | 'psetex', unit: ExpiryUnit) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    const expiresAt = expiryOfOption({ unit, value: exactLongAt(args, 1), command }, keyspace.now);
    keyspace.put(bytesAt(args, 0), bytesAt(args, 2), expiresAt);
    return OK;
  };
}

function setnx(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const key = bytesAt(args, 0);
  if (keyspace.find(key) !== undefined) return 0;
  keyspace.put(key, bytesAt(args, 1), NEVER);
  return 1;
}

function getset(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const key = bytesAt(args, 0);
  const old = keyspace.readString(key) ?? null;
  keyspace.put(key, bytesAt(args, 1), NEVER);
  return old;
}

function getdel(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const key = bytesAt(args, 0);
  const old = keyspace.readString(key);
  if (old === undefined) return null;
  keyspace.delete(key);
  return old;
}

function getex(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const options = noOptions();
  for (let i = 1; i < args.length; i += 1) {
    if (wordAt(args, i) === 'PERSIST' && options.expiry === undefined) options.persist = true;
    else i = parseExpiryOption(args, i, options);
  }
  const entry = keyspace.find(bytesAt(args, 0));
  if (entry === undefined) return null;
  const value = keyspace.readString(entry.key) ?? null;
  const given = expiryGiven(args, options, 'getex');
  if (given !== undefined) {
    const expiresAt = expiryOfOption(given, keyspace.now);
    if (expiresAt <= keyspace.now) keyspace.delete(entry.key);
    else keyspace.setExpiry(entry, expiresAt);
  } else if (options.persist) {
    keyspace.setExpiry(entry, NEVER);
  }
  return value;
}

function mget(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  return args.map((_, index) => {
    const value = keyspace.find(bytesAt(args, index))?.value;
    return typeof value === 'string' ? value : null;
  });
}

function mset(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  if (args.length % 2 !== 0) throw wrongArity('mset');
  putPairs(args, { keyspace });
  return OK;
}

function msetnx(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  if (args.length % 2 !== 0) throw wrongArity('msetnx');
  for (let i = 0; i < args.length; i += 2) {
    if (keyspace.find(bytesAt(args, i)) !== undefined) return 0;
  }
  putPairs(args, { keyspace });
  return 1;
}

function putPairs(args: readonly Arg[], { keyspace }: Pick<CommandContext, 'keyspace'>): void {
  for (let i = 0; i < args.length; i += 2) keyspace.put(bytesAt(args, i), bytesAt(args, i + 1), NEVER);
}

function strlen(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  return keyspace.readString(bytesAt(args, 0))?.length ?? 0;
}

function append(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const key = bytesAt(args, 0);
  const addition = bytesAt(args, 1);
  const old = keyspace.readString(key);
  if (old !== undefined) assertLength(old.length + addition.length);
  const value = old === undefined ? addition : concatBytes(old, addition);
  keyspace.replaceString(key, value);
  return value.length;
}

function getrange(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const first = longAt(args, 1);
  const last = longAt(args, 2);
  const value = keyspace.readString(bytesAt(args, 0)) ?? EMPTY;
  if (first < 0 && last < 0 && first > last) return EMPTY;
  const start = first < 0 ? Math.max(value.length + first, 0) : first;
  // An end before the beginning means the first byte, a peculiarity of GETRANGE alone.
  const end = Math.min(last < 0 ? Math.max(value.length + last, 0) : last, value.length - 1);
  return start > end ? EMPTY : sliceBytes(value, start, end + 1);
}

function setrange(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const key = bytesAt(args, 0);
  const patch = bytesAt(args, 2);
  const offset = longAt(args, 1);
  if (offset < 0) throw failure('offset is out of range');
  const before = keyspace.readString(key);
  if (patch.length === 0) return before?.length ?? 0;
  assertLength(offset + patch.length);
  keyspace.reserve(Math.max(offset + patch.length - (before?.length ?? 0), 0));
  // Making room may have evicted this very key.
  const value = patched(keyspace.readString(key) ?? EMPTY, { offset, patch });
  keyspace.replaceString(key, value);
  return value.length;
}

function patched(value: Bytes, { offset, patch }: { offset: number; patch: Bytes }): Bytes {
  const padded = offset > value.length ? concatBytes(value, zeroBytes(offset - value.length)) : value;
  const tail = sliceBytes(padded, offset + patch.length, padded.length);
  return concatBytes(concatBytes(sliceBytes(padded, 0, offset), patch), tail);
}

function assertLength(length: number): void {
  if (length > LONGEST_STRING) throw failure('string exceeds maximum allowed size (proto-max-bulk-len)');
}

/** SET and its like: what was at the key makes room for the new value. */
function replaceAt(name: string, arity: number, run: CommandSpec['run']): CommandSpec {
  return { ...grow(name, arity, run), replaces: true };
}

export const stringCommands: readonly CommandSpec[] = [
  read('get', 2, get),
  replaceAt('set', -3, set),
  replaceAt('setex', 4, setWithExpiry('setex', { seconds: true, absolute: false })),
  replaceAt('psetex', 4, setWithExpiry('psetex', { seconds: false, absolute: false })),
  grow('setnx', 3, setnx),
  replaceAt('getset', 3, getset),
  shrink('getdel', 2, getdel),
  shrink('getex', -2, getex),
  read('mget', -2, mget),
  { ...replaceAt('mset', -3, mset), creates: 'pairs' },
  { ...replaceAt('msetnx', -3, msetnx), creates: 'pairs' },
  read('strlen', 2, strlen),
  grow('append', 3, append),
  read('getrange', 4, getrange),
  read('substr', 4, getrange),
  grow('setrange', 4, setrange),
];
