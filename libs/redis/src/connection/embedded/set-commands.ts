/** Commands on sets. */
import type { Arg } from '../redis-client.js';
import { bytesAt, bytesFrom, countAt, longAt, wordAt } from './arguments.js';
import type { Bytes } from './byte-string.js';
import { failure, syntaxError } from './command-failure.js';
import { grow, read, shrink, type CommandContext, type CommandSpec } from './command-spec.js';
import type { EngineReply } from './engine-reply.js';
import { NEVER } from './entry-table.js';
import { parseLong } from './long-integer.js';
import { pickDistinct, pickWithRepeats } from './random-picks.js';
import { scanMembers } from './scan-options.js';
import { SetValue } from './set-value.js';

type Combine = (sets: readonly (SetValue | undefined)[]) => Bytes[];

function setAt(args: readonly Arg[], { keyspace }: CommandContext): SetValue | undefined {
  return keyspace.read(bytesAt(args, 0), SetValue);
}

function membersOf(members: SetValue | undefined): Bytes[] {
  return [...(members?.values() ?? [])];
}

function sadd(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const members = keyspace.open(bytesAt(args, 0), SetValue);
  return bytesFrom(args, 1).filter((member) => members.add(member)).length;
}

function srem(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const members = keyspace.edit(bytesAt(args, 0), SetValue);
  if (members === undefined) return 0;
  return bytesFrom(args, 1).filter((member) => members.delete(member)).length;
}

function smismember(args: readonly Arg[], context: CommandContext): EngineReply {
  const members = setAt(args, context);
  return bytesFrom(args, 1).map((member) => (members?.has(member) === true ? 1 : 0));
}

function spop(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  if (args.length > 2) throw syntaxError();
  const count = args.length === 2 ? countAt(args, 1) : undefined;
  const members = keyspace.edit(bytesAt(args, 0), SetValue);
  const picked = pickDistinct(membersOf(members), count ?? 1);
  for (const member of picked) members?.delete(member);
  return count === undefined ? (picked[0] ?? null) : picked;
}

function srandmember(args: readonly Arg[], context: CommandContext): EngineReply {
  if (args.length > 2) throw syntaxError();
  const count = args.length === 2 ? longAt(args, 1) : undefined;
  const members = membersOf(setAt(args, context));
  if (count === undefined) return pickDistinct(members, 1)[0] ?? null;
  return count < 0 ? pickWithRepeats(members, -count) : pickDistinct(members, count);
}

function smove(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const member = bytesAt(args, 2);
  const source = keyspace.edit(bytesAt(args, 0), SetValue);
  if (source === undefined) return 0;
  keyspace.read(bytesAt(args, 1), SetValue);
  if (!source.delete(member)) return 0;
  keyspace.open(bytesAt(args, 1), SetValue).add(member);
  return 1;
}

const intersection: Combine = ([first, ...others]) =>
  membersOf(first).filter((member) => others.every((other) => other?.has(member) === true));

const union: Combine = (sets) => [...new Set(sets.flatMap(membersOf))];

const difference: Combine = ([first, ...others]) =>
  membersOf(first).filter((member) => !others.some((other) => other?.has(member) === true));

function combine(how: Combine) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply =>
    how(bytesFrom(args, 0).map((key) => keyspace.read(key, SetValue)));
}

function combineInto(how: Combine) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    const members = how(bytesFrom(args, 1).map((key) => keyspace.read(key, SetValue)));
    const target = bytesAt(args, 0);
    keyspace.delete(target);
    const result = new SetValue();
    for (const member of members) result.add(member);
    if (result.size > 0) keyspace.put(target, result, NEVER);
    return result.size;
  };
}

function sintercard(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const numberOfKeys = parseLong(bytesAt(args, 0));
  if (numberOfKeys === undefined || numberOfKeys <= 0) throw failure('numkeys should be greater than 0');
  if (Number(numberOfKeys) > args.length - 1) {
    throw failure("Number of keys can't be greater than number of args");
  }
  const end = Number(numberOfKeys) + 1;
  const limit = parseLimit(args, end);
  const found = intersection(bytesFrom(args.slice(0, end), 1).map((key) => keyspace.read(key, SetValue)));
  return limit === 0 ? found.length : Math.min(limit, found.length);
}

function parseLimit(args: readonly Arg[], start: number): number {
  let limit = 0;
  for (let i = start; i < args.length; i += 2) {
    if (wordAt(args, i) !== 'LIMIT' || i + 1 >= args.length) throw syntaxError();
    const value = parseLong(bytesAt(args, i + 1));
    if (value === undefined || value < 0) throw failure("LIMIT can't be negative");
    limit = Number(value);
  }
  return limit;
}

function sscan(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  return scanMembers(args, () =>
    keyspace.read(bytesAt(args, 0), SetValue) === undefined
      ? undefined
      : membersOf(keyspace.read(bytesAt(args, 0), SetValue)).map((member) => [member] as const),
  );
}

export const setCommands: readonly CommandSpec[] = [
  grow('sadd', -3, sadd),
  shrink('srem', -3, srem),
  read('smembers', 2, (args, context) => membersOf(setAt(args, context))),
  read('sismember', 3, (args, context) => (setAt(args, context)?.has(bytesAt(args, 1)) === true ? 1 : 0)),
  read('smismember', -3, smismember),
  read('scard', 2, (args, context) => setAt(args, context)?.size ?? 0),
  shrink('spop', -2, spop),
  read('srandmember', -2, srandmember),
  shrink('smove', 4, smove),
  read('sinter', -2, combine(intersection)),
  read('sunion', -2, combine(union)),
  read('sdiff', -2, combine(difference)),
  grow('sinterstore', -3, combineInto(intersection)),
  grow('sunionstore', -3, combineInto(union)),
  grow('sdiffstore', -3, combineInto(difference)),
  read('sintercard', -3, sintercard),
  read('sscan', -3, sscan),
];
