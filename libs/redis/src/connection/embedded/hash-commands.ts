/** Commands on hashes. */
import type { Arg } from '../redis-client.js';
import { bytesAt, bytesFrom, exactLongAt, longAt, wordAt } from './arguments.js';
import { asciiBytes, type Bytes } from './byte-string.js';
import { failure, notAFloat, syntaxError, wrongArity } from './command-failure.js';
import { grow, read, shrink, type CommandContext, type CommandSpec } from './command-spec.js';
import { OK, type EngineReply } from './engine-reply.js';
import { HashValue } from './hash-value.js';
import { addLongDoubles, formatLongDouble, parseLongDouble } from './long-double.js';
import { addLongs, parseLong } from './long-integer.js';
import { pickDistinct, pickWithRepeats } from './random-picks.js';
import { scanMembers } from './scan-options.js';

function setFields(command: string, args: readonly Arg[], { keyspace }: CommandContext): number {
  if (args.length % 2 === 0) throw wrongArity(command);
  const fields = keyspace.open(bytesAt(args, 0), HashValue);
  let added = 0;
  for (let i = 1; i < args.length; i += 2) {
    if (fields.set(bytesAt(args, i), bytesAt(args, i + 1))) added += 1;
  }
  return added;
}

function hmset(args: readonly Arg[], context: CommandContext): EngineReply {
  setFields('hmset', args, context);
  return OK;
}

function hsetnx(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const fields = keyspace.open(bytesAt(args, 0), HashValue);
  const field = bytesAt(args, 1);
  if (fields.has(field)) return 0;
  fields.set(field, bytesAt(args, 2));
  return 1;
}

function hashAt(args: readonly Arg[], { keyspace }: CommandContext): HashValue | undefined {
  return keyspace.read(bytesAt(args, 0), HashValue);
}

function hmget(args: readonly Arg[], context: CommandContext): EngineReply {
  const fields = hashAt(args, context);
  return bytesFrom(args, 1).map((field) => fields?.get(field) ?? null);
}

function hdel(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const fields = keyspace.edit(bytesAt(args, 0), HashValue);
  if (fields === undefined) return 0;
  return bytesFrom(args, 1).filter((field) => fields.delete(field)).length;
}

function hgetall(args: readonly Arg[], context: CommandContext): EngineReply {
  return [...(hashAt(args, context)?.entries() ?? [])].flat();
}

function hkeys(args: readonly Arg[], context: CommandContext): EngineReply {
  return Array.from(hashAt(args, context)?.entries() ?? [], ([field]) => field);
}

function hvals(args: readonly Arg[], context: CommandContext): EngineReply {
  return Array.from(hashAt(args, context)?.entries() ?? [], ([, value]) => value);
}

function hincrby(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const step = exactLongAt(args, 2);
  const fields = keyspace.open(bytesAt(args, 0), HashValue);
  const field = bytesAt(args, 1);
  const present = parseLong(fields.get(field) ?? '0');
  if (present === undefined) throw failure('hash value is not an integer');
  const sum = addLongs(present, step);
  if (sum === undefined) throw failure('increment or decrement would overflow');
  fields.set(field, asciiBytes(sum));
  return Number(sum);
}

function hincrbyfloat(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const step = parseLongDouble(bytesAt(args, 2));
  if (step === undefined) throw notAFloat();
  if (step === 'infinite') throw failure('value is NaN or Infinity');
  const fields = keyspace.open(bytesAt(args, 0), HashValue);
  const field = bytesAt(args, 1);
  const present = parseLongDouble(fields.get(field) ?? '0');
  if (present === undefined) throw failure('hash value is not a float');
  if (present === 'infinite') throw failure('increment would produce NaN or Infinity');
  const sum = asciiBytes(formatLongDouble(addLongDoubles(present, step)));
  fields.set(field, sum);
  return sum;
}

function hrandfield(args: readonly Arg[], context: CommandContext): EngineReply {
  if (args.length > 3) throw syntaxError();
  const withValues = args.length === 3;
  const count = args.length === 1 ? undefined : longAt(args, 1);
  if (withValues && wordAt(args, 2) !== 'WITHVALUES') throw syntaxError();
  const pairs = [...(hashAt(args, context)?.entries() ?? [])];
  if (count === undefined) return pickDistinct(pairs, 1)[0]?.[0] ?? null;
  const picked = count < 0 ? pickWithRepeats(pairs, -count) : pickDistinct(pairs, count);
  return withValues ? picked.flat() : picked.map(([field]) => field);
}

function hscan(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  return scanMembers(args, () => {
    const fields = keyspace.read(bytesAt(args, 0), HashValue);
    return fields === undefined
      ? undefined
      : Array.from(fields.entries(), ([field, value]): [Bytes, ...Bytes[]] => [field, value]);
  });
}

export const hashCommands: readonly CommandSpec[] = [
  grow('hset', -4, (args, context) => setFields('hset', args, context)),
  grow('hmset', -4, hmset),
  grow('hsetnx', 4, hsetnx),
  read('hget', 3, (args, context) => hashAt(args, context)?.get(bytesAt(args, 1)) ?? null),
  read('hmget', -3, hmget),
  read('hgetall', 2, hgetall),
  shrink('hdel', -3, hdel),
  read('hexists', 3, (args, context) => (hashAt(args, context)?.has(bytesAt(args, 1)) === true ? 1 : 0)),
  read('hlen', 2, (args, context) => hashAt(args, context)?.size ?? 0),
  read('hstrlen', 3, (args, context) => hashAt(args, context)?.get(bytesAt(args, 1))?.length ?? 0),
  read('hkeys', 2, hkeys),
  read('hvals', 2, hvals),
  grow('hincrby', 4, hincrby),
  grow('hincrbyfloat', 4, hincrbyfloat),
  read('hrandfield', -2, hrandfield),
  read('hscan', -3, hscan),
];
