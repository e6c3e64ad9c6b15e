/** Commands on lists. */
import type { Arg } from '../redis-client.js';
import { bytesAt, bytesFrom, countAt, longAt, wordAt } from './arguments.js';
import type { Bytes } from './byte-string.js';
import { failure, noSuchKey, syntaxError, wrongArity } from './command-failure.js';
import { grow, read, shrink, type CommandContext, type CommandSpec } from './command-spec.js';
import { OK, type EngineReply } from './engine-reply.js';
import { clampRange } from './index-range.js';
import { ListValue, type ListEnd } from './list-value.js';

function listAt(args: readonly Arg[], { keyspace }: CommandContext): ListValue | undefined {
  return keyspace.read(bytesAt(args, 0), ListValue);
}

function push(end: ListEnd) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    const list = keyspace.open(bytesAt(args, 0), ListValue);
    for (const element of bytesFrom(args, 1)) list.push(end, element);
    return list.size;
  };
}

function pushToPresent(end: ListEnd) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    const list = keyspace.edit(bytesAt(args, 0), ListValue);
    if (list === undefined) return 0;
    for (const element of bytesFrom(args, 1)) list.push(end, element);
    return list.size;
  };
}

function pop(command: string, end: ListEnd) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    if (args.length > 2) throw wrongArity(command);
    const count = args.length === 2 ? countAt(args, 1) : undefined;
    const list = keyspace.edit(bytesAt(args, 0), ListValue);
    if (list === undefined) return null;
    if (count === undefined) return list.pop(end) ?? null;
    const popped: Bytes[] = [];
    for (let left = Math.min(count, list.size); left > 0; left -= 1) {
      const element = list.pop(end);
      if (element !== undefined) popped.push(element);
    }
    return popped;
  };
}

function lrange(args: readonly Arg[], context: CommandContext): EngineReply {
  const [first, last] = [longAt(args, 1), longAt(args, 2)];
  const list = listAt(args, context);
  if (list === undefined) return [];
  const { start, end } = clampRange(first, last, list.size);
  return list.slice(start, end);
}

function lindex(args: readonly Arg[], context: CommandContext): EngineReply {
  const list = listAt(args, context);
  if (list === undefined) return null;
  const index = longAt(args, 1);
  return list.at(index < 0 ? list.size + index : index) ?? null;
}

function lset(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const list = keyspace.edit(bytesAt(args, 0), ListValue);
  if (list === undefined) throw noSuchKey();
  const given = longAt(args, 1);
  const index = given < 0 ? list.size + given : given;
  if (list.at(index) === undefined) throw failure('index out of range');
  list.set(index, bytesAt(args, 2));
  return OK;
}

/** From the head, from the tail for a negative count, all for 0. */
function lrem(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const count = longAt(args, 1);
  const list = keyspace.edit(bytesAt(args, 0), ListValue);
  if (list === undefined) return 0;
  const unwanted = bytesAt(args, 2);
  let left = count === 0 ? list.size : Math.abs(count);
  const keep = (element: Bytes): boolean => {
    if (element !== unwanted || left === 0) return true;
    left -= 1;
    return false;
  };
  const before = list.slice(0, list.size);
  const after = count < 0 ? before.toReversed().filter(keep).toReversed() : before.filter(keep);
  if (after.length < before.length) list.reset(after);
  return before.length - after.length;
}

function ltrim(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const [first, last] = [longAt(args, 1), longAt(args, 2)];
  const list = keyspace.edit(bytesAt(args, 0), ListValue);
  if (list === undefined) return OK;
  const { start, end } = clampRange(first, last, list.size);
  for (let surplus = list.size - end; surplus > 0; surplus -= 1) list.pop('right');
  for (let surplus = start; surplus > 0 && list.size > 0; surplus -= 1) list.pop('left');
  return OK;
}

function linsert(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const where = wordAt(args, 1);
  if (where !== 'BEFORE' && where !== 'AFTER') throw syntaxError();
  const list = keyspace.edit(bytesAt(args, 0), ListValue);
  if (list === undefined) return 0;
  const elements = list.slice(0, list.size);
  const pivot = elements.indexOf(bytesAt(args, 2));
  if (pivot === -1) return -1;
  elements.splice(where === 'BEFORE' ? pivot : pivot + 1, 0, bytesAt(args, 3));
  list.reset(elements);
  return elements.length;
}

function endAt(args: readonly Arg[], index: number): ListEnd {
  const word = wordAt(args, index);
  if (word === 'LEFT') return 'left';
  if (word === 'RIGHT') return 'right';
  throw syntaxError();
}

function lmove(args: readonly Arg[], context: CommandContext): EngineReply {
  return move(args, context, [endAt(args, 2), endAt(args, 3)]);
}

function move(
  args: readonly Arg[],
  { keyspace }: CommandContext,
  [from, to]: [ListEnd, ListEnd],
): EngineReply {
  const source = keyspace.edit(bytesAt(args, 0), ListValue);
  if (source === undefined) return null;
  // Looked up before anything is taken: of the wrong type, it must leave the source untouched.
  const target = keyspace.open(bytesAt(args, 1), ListValue);
  const element = source.pop(from);
  if (element === undefined) return null;
  target.push(to, element);
  return element;
}

function created(spec: CommandSpec): CommandSpec {
  return { ...spec, creates: 'second' };
}

export const listCommands: readonly CommandSpec[] = [
  grow('lpush', -3, push('left')),
  grow('rpush', -3, push('right')),
  grow('lpushx', -3, pushToPresent('left')),
  grow('rpushx', -3, pushToPresent('right')),
  shrink('lpop', -2, pop('lpop', 'left')),
  shrink('rpop', -2, pop('rpop', 'right')),
  read('llen', 2, (args, context) => listAt(args, context)?.size ?? 0),
  read('lrange', 4, lrange),
  read('lindex', 3, lindex),
  grow('lset', 4, lset),
  shrink('lrem', 4, lrem),
  shrink('ltrim', 4, ltrim),
  grow('linsert', 5, linsert),
  created(grow('lmove', 5, lmove)),
  created(grow('rpoplpush', 3, (args, context) => move(args, context, ['right', 'left']))),
];
