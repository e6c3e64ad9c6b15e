/** Commands on keys whatever they hold. */
import type { Arg } from '../redis-client.js';
import { bytesAt, bytesFrom, exactLongAt, longAt, wordAt } from './arguments.js';
import { asciiBytes, bytesToText, type Bytes } from './byte-string.js';
import { failure, noSuchKey, syntaxError } from './command-failure.js';
import { grow, read, shrink, type CommandContext, type CommandSpec } from './command-spec.js';
import { OK, Status, type EngineReply } from './engine-reply.js';
import { NEVER, type Entry } from './entry-table.js';
import { pointInTime, type ExpiryUnit } from './expiry-options.js';
import { cursorAt, parseScanFilter } from './scan-options.js';
import { typeOf, weigh } from './value.js';

function del(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  return bytesFrom(args, 0).filter((key) => keyspace.delete(key)).length;
}

function exists(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  return bytesFrom(args, 0).filter((key) => keyspace.peek(key) !== undefined).length;
}

function touch(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  return bytesFrom(args, 0).filter((key) => keyspace.find(key) !== undefined).length;
}

interface ExpireConditions {
  nx: boolean;
  xx: boolean;
  gt: boolean;
  lt: boolean;
}

function expire(command: string, unit: ExpiryUnit) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    const conditions = parseConditions(args);
    const given = { unit, value: exactLongAt(args, 1), command };
    const at = Number(pointInTime(given, keyspace.now));
    const entry = keyspace.find(bytesAt(args, 0));
    if (entry === undefined || !conditionsHold(conditions, entry.expiresAt, at)) return 0;
    if (at <= keyspace.now) keyspace.delete(entry.key);
    else keyspace.setExpiry(entry, at);
    return 1;
  };
}

function parseConditions(args: readonly Arg[]): ExpireConditions {
  const words = args.slice(2).map((_, index) => wordAt(args, index + 2));
  const unknown = words.findIndex((word) => !['NX', 'XX', 'GT', 'LT'].includes(word));
  if (unknown !== -1) throw failure(`Unsupported option ${bytesToText(bytesAt(args, unknown + 2))}`);
  const has = (word: string): boolean => words.includes(word);
  const conditions = { nx: has('NX'), xx: has('XX'), gt: has('GT'), lt: has('LT') };
  if (conditions.nx && (conditions.xx || conditions.gt || conditions.lt)) {
    throw failure('NX and XX, GT or LT options at the same time are not compatible');
  }
  if (conditions.gt && conditions.lt) {
    throw failure('GT and LT options at the same time are not compatible');
  }
  return conditions;
}

/** What never expires counts as infinitely far away. */
function conditionsHold({ nx, xx, gt, lt }: ExpireConditions, present: number, wanted: number): boolean {
  if (nx && present !== NEVER) return false;
  if (xx && present === NEVER) return false;
  if (gt && wanted <= present) return false;
  return !(lt && wanted >= present);
}

/** -2: no such key. -1: it never expires. */
function expiry(report: (expiresAt: number, now: number) => number) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    const entry = keyspace.peek(bytesAt(args, 0));
    if (entry === undefined) return -2;
    return entry.expiresAt === NEVER ? -1 : report(entry.expiresAt, keyspace.now);
  };
}

function toSeconds(ms: number): number {
  return Math.floor((ms + 500) / 1_000);
}

function persist(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const entry = keyspace.find(bytesAt(args, 0));
  if (entry === undefined || entry.expiresAt === NEVER) return 0;
  keyspace.setExpiry(entry, NEVER);
  return 1;
}

function type(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const entry = keyspace.peek(bytesAt(args, 0));
  return new Status(entry === undefined ? 'none' : typeOf(entry.value));
}

function rename(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  move({ keyspace }, sourceOf(args, keyspace), bytesAt(args, 1));
  return OK;
}

function renamenx(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const source = sourceOf(args, keyspace);
  const target = bytesAt(args, 1);
  if (keyspace.find(target) !== undefined) return 0;
  move({ keyspace }, source, target);
  return 1;
}

function sourceOf(args: readonly Arg[], keyspace: CommandContext['keyspace']): Entry {
  const source = keyspace.find(bytesAt(args, 0));
  if (source === undefined) throw noSuchKey();
  return source;
}

function move({ keyspace }: Pick<CommandContext, 'keyspace'>, source: Entry, target: Bytes): void {
  if (source.key === target) return;
  const { value, expiresAt } = source;
  keyspace.delete(source.key);
  keyspace.put(target, value, expiresAt);
}

function copy(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const replace = parseCopyOptions(args);
  const target = bytesAt(args, 1);
  if (bytesAt(args, 0) === target) throw failure('source and destination objects are the same');
  const source = keyspace.find(bytesAt(args, 0));
  if (source === undefined) return 0;
  if (keyspace.find(target) !== undefined && !replace) return 0;
  const { value, expiresAt } = source;
  keyspace.reserve(weigh(target, value));
  keyspace.put(target, typeof value === 'string' ? value : value.clone(), expiresAt);
  return 1;
}

/** True for REPLACE. There is one database only. */
function parseCopyOptions(args: readonly Arg[]): boolean {
  let replace = false;
  for (let i = 2; i < args.length; i += 1) {
    const word = wordAt(args, i);
    if (word === 'REPLACE') {
      replace = true;
    } else if (word === 'DB' && i + 1 < args.length) {
      i += 1;
      if (longAt(args, i) !== 0) throw failure('DB index is out of range');
    } else {
      throw syntaxError();
    }
  }
  return replace;
}

function scan(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const cursor = cursorAt(args, 0);
  const filter = parseScanFilter(args, 1, true);
  const keys: Bytes[] = [];
  const next = keyspace.scan(cursor, filter.count, ({ key, value }) => {
    if (filter.type !== undefined && typeOf(value) !== filter.type) return;
    if (filter.matches === undefined || filter.matches(key)) keys.push(key);
  });
  return [asciiBytes(next), keys];
}

const SECONDS: ExpiryUnit = { seconds: true, absolute: false };
const MILLISECONDS: ExpiryUnit = { seconds: false, absolute: false };

export const keyCommands: readonly CommandSpec[] = [
  shrink('del', -2, del),
  shrink('unlink', -2, del),
  read('exists', -2, exists),
  read('touch', -2, touch),
  shrink('expire', -3, expire('expire', SECONDS)),
  shrink('pexpire', -3, expire('pexpire', MILLISECONDS)),
  shrink('expireat', -3, expire('expireat', { ...SECONDS, absolute: true })),
  shrink('pexpireat', -3, expire('pexpireat', { ...MILLISECONDS, absolute: true })),
  read(
    'ttl',
    2,
    expiry((at, now) => toSeconds(at - now)),
  ),
  read(
    'pttl',
    2,
    expiry((at, now) => at - now),
  ),
  read('expiretime', 2, expiry(toSeconds)),
  read(
    'pexpiretime',
    2,
    expiry((at) => at),
  ),
  shrink('persist', 2, persist),
  read('type', 2, type),
  shrink('rename', 3, rename),
  shrink('renamenx', 3, renamenx),
  { ...grow('copy', -3, copy), creates: 'second' },
  read('scan', -2, scan),
  read('dbsize', 1, (_, { keyspace }) => keyspace.size),
  read('randomkey', 1, (_, { keyspace }) => keyspace.randomKey()),
];
