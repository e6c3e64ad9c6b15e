/** Strings that are numbers: INCR and its family. */
import type { Arg } from '../redis-client.js';
import { bytesAt, exactLongAt } from './arguments.js';
import { asciiBytes } from './byte-string.js';
import { failure, notAFloat, notAnInteger } from './command-failure.js';
import { grow, type CommandContext, type CommandSpec } from './command-spec.js';
import type { EngineReply } from './engine-reply.js';
import { addLongDoubles, formatLongDouble, parseLongDouble } from './long-double.js';
import { addLongs, negateLong, parseLong, type LongInteger } from './long-integer.js';

function add(args: readonly Arg[], { keyspace }: CommandContext, step: LongInteger): EngineReply {
  const key = bytesAt(args, 0);
  const present = parseLong(keyspace.readString(key) ?? '0');
  if (present === undefined) throw notAnInteger();
  const sum = addLongs(present, step);
  if (sum === undefined) throw failure('increment or decrement would overflow');
  keyspace.replaceString(key, asciiBytes(sum));
  return Number(sum);
}

function decrby(args: readonly Arg[], context: CommandContext): EngineReply {
  const step = negateLong(exactLongAt(args, 1));
  if (step === undefined) throw failure('decrement would overflow');
  return add(args, context, step);
}

function incrbyfloat(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const key = bytesAt(args, 0);
  const present = parseLongDouble(keyspace.readString(key) ?? '0');
  const step = parseLongDouble(bytesAt(args, 1));
  if (present === undefined || step === undefined) throw notAFloat();
  if (present === 'infinite' || step === 'infinite') throw failure('increment would produce NaN or Infinity');
  const sum = asciiBytes(formatLongDouble(addLongDoubles(present, step)));
  keyspace.replaceString(key, sum);
  return sum;
}

export const counterCommands: readonly CommandSpec[] = [
  grow('incr', 2, (args, context) => add(args, context, 1)),
  grow('decr', 2, (args, context) => add(args, context, -1)),
  grow('incrby', 3, (args, context) => add(args, context, exactLongAt(args, 1))),
  grow('decrby', 3, decrby),
  grow('incrbyfloat', 3, incrbyfloat),
];
