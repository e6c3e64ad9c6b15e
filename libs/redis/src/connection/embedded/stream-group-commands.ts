/** Commands on the groups of a stream. */
import type { Arg } from '../redis-client.js';
import { bytesAt, longAt, required, wordAt } from './arguments.js';
import { asciiBytes, bytesToText, type Bytes } from './byte-string.js';
import { failure, noSuchKey, syntaxError, wrongArity } from './command-failure.js';
import { grow, read, shrink, type CommandContext, type CommandSpec } from './command-spec.js';
import { OK, type EngineReply } from './engine-reply.js';
import type { Keyspace } from './keyspace.js';
import { blockOf, countOf, entryReply, streamsAt, upTo } from './stream-commands.js';
import { boundAt, formatId, HIGHEST_ID, idAt, parseId } from './stream-id.js';
import { ConsumerGroup, StreamValue, type Consumer, type Pending } from './stream-value.js';

interface Place {
  readonly stream: StreamValue;
  readonly group: ConsumerGroup;
}

function noGroup(key: Bytes, group: Bytes, where = ''): Error {
  const names = `'${bytesToText(key)}' or consumer group '${bytesToText(group)}'`;
  return failure(`No such key ${names}${where}`, 'NOGROUP');
}

function noSuchGroup(key: Bytes, group: Bytes): Error {
  const names = `'${bytesToText(group)}' for key name '${bytesToText(key)}'`;
  return failure(`No such consumer group ${names}`, 'NOGROUP');
}

function placeAt(args: readonly Arg[], keyspace: Keyspace): Place {
  const [key, name] = [bytesAt(args, 0), bytesAt(args, 1)];
  const stream = keyspace.edit(key, StreamValue);
  const group = stream?.groups.get(name);
  if (stream === undefined || group === undefined) throw noGroup(key, name);
  return { stream, group };
}

// -- XGROUP ---------------------------------------------------------------------------------------------------

const XGROUP_ARITY: Readonly<Record<string, readonly [least: number, most: number]>> = {
  CREATE: [4, 7],
  SETID: [4, 6],
  DESTROY: [3, 3],
  CREATECONSUMER: [4, 4],
  DELCONSUMER: [4, 4],
};

function xgroup(args: readonly Arg[], context: CommandContext): EngineReply {
  const action = wordAt(args, 0);
  const arity = XGROUP_ARITY[action];
  if (arity === undefined) throw unknownSubcommand('XGROUP', bytesAt(args, 0));
  if (args.length < arity[0] || args.length > arity[1]) throw wrongArity(`xgroup|${action.toLowerCase()}`);
  const rest = args.slice(1);
  if (action === 'CREATE') return createGroup(rest, context);
  const [key, name] = [bytesAt(rest, 0), bytesAt(rest, 1)];
  const stream = context.keyspace.edit(key, StreamValue);
  if (stream === undefined) throw keyMustExist();
  const group = stream.groups.get(name);
  if (action === 'DESTROY') return stream.groups.delete(name) ? 1 : 0;
  if (group === undefined) throw noSuchGroup(key, name);
  if (action === 'SETID') {
    group.lastId = startAt(rest, stream);
    group.entriesRead = undefined;
    return OK;
  }
  return action === 'CREATECONSUMER'
    ? createConsumer(group, bytesAt(rest, 2), context.keyspace.now)
    : deleteConsumer(group, bytesAt(rest, 2));
}

function createGroup(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  let make = false;
  let entriesRead: number | undefined;
  for (let i = 3; i < args.length; i += 1) {
    const word = wordAt(args, i);
    if (word === 'MKSTREAM') make = true;
    else if (word === 'ENTRIESREAD') {
      i += 1;
      required(args, i);
      entriesRead = longAt(args, i);
    } else throw syntaxError();
  }
  const key = bytesAt(args, 0);
  const present = keyspace.edit(key, StreamValue);
  if (present === undefined && !make) throw keyMustExist();
  const lastId = startAt(args, present);
  const stream = present ?? keyspace.open(key, StreamValue);
  const name = bytesAt(args, 1);
  if (stream.groups.has(name)) throw failure('Consumer Group name already exists', 'BUSYGROUP');
  const group = new ConsumerGroup(lastId);
  group.entriesRead = entriesRead;
  stream.groups.set(name, group);
  return OK;
}

function startAt(args: readonly Arg[], stream: StreamValue | undefined): bigint {
  const text = bytesAt(args, 2);
  return text === '$' ? (stream?.lastId ?? 0n) : parseId(text, 0n);
}

function createConsumer(group: ConsumerGroup, name: Bytes, now: number): EngineReply {
  if (group.consumers.has(name)) return 0;
  group.consumer(name, now);
  return 1;
}

function deleteConsumer(group: ConsumerGroup, name: Bytes): EngineReply {
  const consumer = group.consumers.get(name);
  if (consumer === undefined) return 0;
  const owed = group.pendingOf(consumer);
  for (const { id } of owed) group.pending.delete(id);
  group.consumers.delete(name);
  return owed.length;
}

function keyMustExist(): Error {
  return failure(
    'The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.',
  );
}

function unknownSubcommand(command: string, given: Bytes): Error {
  return failure(`unknown subcommand '${given.slice(0, 128)}'. Try ${command} HELP.`);
}

// -- reading --------------------------------------------------------------------------------------------------

interface GroupRead {
  readonly group: Bytes;
  readonly consumer: Bytes;
  readonly count: number;
  readonly noAck: boolean;
  readonly keys: readonly Bytes[];
  readonly ids: readonly Bytes[];
}

function parseGroupRead(args: readonly Arg[]): GroupRead {
  let group: Bytes | undefined;
  let consumer: Bytes | undefined;
  let count = Infinity;
  let noAck = false;
  let at = 0;
  for (; at < args.length && wordAt(args, at) !== 'STREAMS'; at += 2) {
    const word = wordAt(args, at);
    if (word === 'NOACK') {
      noAck = true;
      at -= 1;
    } else if (word === 'GROUP') {
      group = bytesAt(args, at + 1);
      consumer = bytesAt(args, at + 2);
      at += 1;
    } else if (word === 'COUNT') count = countOf(longAt(args, at + 1));
    else if (word === 'BLOCK') blockOf(longAt(args, at + 1));
    else throw syntaxError();
  }
  if (at >= args.length) throw syntaxError();
  const { keys, ids } = streamsAt('xreadgroup', args, at);
  if (group === undefined || consumer === undefined) {
    throw failure('Missing GROUP option for XREADGROUP');
  }
  return { group, consumer, count, noAck, keys, ids };
}

function xreadgroup(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const asked = parseGroupRead(args);
  const places = asked.keys.map((key, i) => {
    const stream = keyspace.edit(key, StreamValue);
    const group = stream?.groups.get(asked.group);
    if (stream === undefined || group === undefined) {
      throw noGroup(key, asked.group, ' in XREADGROUP with GROUP option');
    }
    const id = asked.ids[i] ?? asciiBytes('>');
    if (id === '$') {
      throw failure(
        'The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.',
      );
    }
    return { key, stream, group, after: id === '>' ? undefined : parseId(id, 0n) };
  });
  const found: EngineReply[] = [];
  for (const { key, stream, group, after } of places) {
    const consumer = (): Consumer => group.consumer(asked.consumer, keyspace.now);
    const entries =
      after === undefined
        ? handOut({ stream, group }, consumer, { ...asked, now: keyspace.now })
        : history({ stream, group }, consumer(), { after, count: asked.count, now: keyspace.now });
    // A history is answered also when it is empty.
    if (entries.length > 0 || after !== undefined) found.push([key, entries]);
  }
  return found.length === 0 ? null : found;
}

function handOut(
  { stream, group }: Place,
  reader: () => Consumer,
  { count, noAck, now }: { count: number; noAck: boolean; now: number },
): EngineReply[] {
  if (group.lastId === HIGHEST_ID) return [];
  const entries = upTo(count, stream.entries.range(group.lastId + 1n, HIGHEST_ID));
  if (entries.length === 0) return [];
  const consumer = reader();
  for (const { id } of entries) {
    group.lastId = id;
    if (noAck) continue;
    const known = group.pending.get(id);
    // Possible after the group was set back.
    if (known === undefined) group.pending.add({ id, consumer, deliveredAt: now, deliveries: 1 });
    else Object.assign(known, { consumer, deliveredAt: now, deliveries: 1 });
  }
  return entries.map(entryReply);
}

function history(
  { stream, group }: Place,
  consumer: Consumer,
  { after, count, now }: { after: bigint; count: number; now: number },
): EngineReply[] {
  if (after === HIGHEST_ID) return [];
  const replies: EngineReply[] = [];
  for (const pending of group.pending.range(after + 1n, HIGHEST_ID)) {
    if (replies.length >= count) break;
    if (pending.consumer !== consumer) continue;
    const entry = stream.entries.get(pending.id);
    if (entry === undefined) {
      replies.push([formatId(pending.id), null]);
      continue;
    }
    pending.deliveredAt = now;
    pending.deliveries += 1;
    replies.push(entryReply(entry));
  }
  return replies;
}

// -- what is owed ---------------------------------------------------------------------------------------------

function xack(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const stream = keyspace.edit(bytesAt(args, 0), StreamValue);
  const group = stream?.groups.get(bytesAt(args, 1));
  if (group === undefined) return 0;
  const ids = args.slice(2).map((_, i) => idAt(args, i + 2));
  return ids.filter((id) => group.pending.delete(id) !== undefined).length;
}

function xpending(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  if (args.length > 2 && args.length < 5) throw syntaxError();
  const asked = args.length > 2 ? parsePending(args) : undefined;
  const [key, name] = [bytesAt(args, 0), bytesAt(args, 1)];
  const group = keyspace.read(key, StreamValue)?.groups.get(name);
  if (group === undefined) throw noGroup(key, name);
  if (asked === undefined) return pendingSummary(group);
  const wanted = asked.consumer === undefined ? undefined : group.consumers.get(asked.consumer);
  if (asked.consumer !== undefined && wanted === undefined) return [];
  const replies: EngineReply[] = [];
  for (const pending of group.pending.range(asked.from, asked.to)) {
    if (replies.length >= asked.count) break;
    const idle = Math.max(0, keyspace.now - pending.deliveredAt);
    if (idle < asked.idle || (wanted !== undefined && pending.consumer !== wanted)) continue;
    replies.push([formatId(pending.id), pending.consumer.name, idle, pending.deliveries]);
  }
  return replies;
}

function parsePending(args: readonly Arg[]) {
  const hasIdle = wordAt(args, 2) === 'IDLE';
  const at = hasIdle ? 4 : 2;
  if (args.length < at + 3 || args.length > at + 4) throw syntaxError();
  const idle = hasIdle ? longAt(args, 3) : 0;
  const count = Math.max(0, longAt(args, at + 2));
  const from = boundAt(args, at, 'start');
  const to = boundAt(args, at + 1, 'end');
  return { idle, count, from, to, consumer: args.length > at + 3 ? bytesAt(args, at + 3) : undefined };
}

function pendingSummary(group: ConsumerGroup): EngineReply {
  const { first, last } = group.pending;
  if (first === undefined || last === undefined) return [0, null, null, null];
  const counts = new Map<Consumer, number>();
  for (const { consumer } of group.pending.all()) counts.set(consumer, (counts.get(consumer) ?? 0) + 1);
  const consumers = [...counts]
    .toSorted(([a], [b]) => (a.name < b.name ? -1 : 1))
    .map(([{ name }, count]) => [name, asciiBytes(count)]);
  return [group.pending.size, formatId(first.id), formatId(last.id), consumers];
}

interface ClaimOptions {
  idleSince: number | undefined;
  retryCount: number | undefined;
  force: boolean;
  justId: boolean;
  lastId: bigint | undefined;
}

function xclaim(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const { stream, group } = placeAt(args, keyspace);
  const minIdle = Math.max(0, idleAt(args, 3, 'XCLAIM'));
  const ids: bigint[] = [];
  let at = 4;
  for (; at < args.length; at += 1) {
    const id = idIfAny(args, at);
    if (id === undefined) break;
    ids.push(id);
  }
  const options = parseClaim(args, at, keyspace.now);
  if (options.lastId !== undefined && options.lastId > group.lastId) group.lastId = options.lastId;
  const replies: EngineReply[] = [];
  // Made by the first message it gets, and not by a claim that brings nothing.
  const claimant = (): Consumer => group.consumer(bytesAt(args, 2), keyspace.now);
  for (const id of ids) {
    const entry = stream.entries.get(id);
    let pending = group.pending.get(id);
    if (entry === undefined) {
      if (pending !== undefined) group.pending.delete(id);
      continue;
    }
    if (pending === undefined) {
      if (!options.force) continue;
      pending = { id, consumer: claimant(), deliveredAt: keyspace.now, deliveries: 1 };
      group.pending.add(pending);
    } else if (keyspace.now - pending.deliveredAt < minIdle) continue;
    claim(pending, claimant(), { ...options, now: keyspace.now });
    replies.push(options.justId ? formatId(id) : entryReply(entry));
  }
  return replies;
}

/** Where the ids end and the options begin. */
function idIfAny(args: readonly Arg[], index: number): bigint | undefined {
  try {
    return idAt(args, index);
  } catch {
    return undefined;
  }
}

function claim(pending: Pending, consumer: Consumer, options: ClaimOptions & { now: number }): void {
  pending.consumer = consumer;
  pending.deliveredAt = options.idleSince ?? options.now;
  if (options.retryCount !== undefined) pending.deliveries = options.retryCount;
  else if (!options.justId) pending.deliveries += 1;
}

function idleAt(args: readonly Arg[], index: number, command: string): number {
  try {
    return longAt(args, index);
  } catch {
    throw failure(`Invalid min-idle-time argument for ${command}`);
  }
}

function parseClaim(args: readonly Arg[], start: number, now: number): ClaimOptions {
  const options: ClaimOptions = {
    idleSince: undefined,
    retryCount: undefined,
    force: false,
    justId: false,
    lastId: undefined,
  };
  for (let i = start; i < args.length; i += 1) {
    const word = wordAt(args, i);
    if (word === 'FORCE') options.force = true;
    else if (word === 'JUSTID') options.justId = true;
    else {
      i += 1;
      if (i >= args.length) throw failure(`Unrecognized XCLAIM option '${bytesAt(args, i - 1)}'`);
      if (word === 'IDLE') options.idleSince = Math.min(now, now - longAt(args, i));
      else if (word === 'TIME') options.idleSince = Math.min(now, longAt(args, i));
      else if (word === 'RETRYCOUNT') options.retryCount = longAt(args, i);
      else if (word === 'LASTID') options.lastId = idAt(args, i);
      else throw failure(`Unrecognized XCLAIM option '${bytesAt(args, i - 1)}'`);
    }
  }
  return options;
}

const AUTOCLAIM_COUNT = 100;

function xautoclaim(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const minIdle = Math.max(0, idleAt(args, 3, 'XAUTOCLAIM'));
  const start = boundAt(args, 4, 'start');
  let count = AUTOCLAIM_COUNT;
  let justId = false;
  for (let i = 5; i < args.length; i += 1) {
    const word = wordAt(args, i);
    if (word === 'JUSTID') justId = true;
    else if (word === 'COUNT' && i + 1 < args.length) {
      i += 1;
      count = longAt(args, i);
      if (count < 1) throw failure('COUNT must be > 0');
    } else throw syntaxError();
  }
  const { stream, group } = placeAt(args, keyspace);
  const claimed: EngineReply[] = [];
  const deleted: EngineReply[] = [];
  // Redis looks at ten times as many entries as it may claim.
  const looked = upTo(count * 10 + 1, group.pending.range(start, HIGHEST_ID));
  let next = 0n;
  for (const [i, pending] of looked.entries()) {
    if (claimed.length + deleted.length >= count || i === count * 10) {
      next = pending.id;
      break;
    }
    const entry = stream.entries.get(pending.id);
    if (entry === undefined) {
      group.pending.delete(pending.id);
      deleted.push(formatId(pending.id));
      continue;
    }
    if (keyspace.now - pending.deliveredAt < minIdle) continue;
    pending.consumer = group.consumer(bytesAt(args, 2), keyspace.now);
    pending.deliveredAt = keyspace.now;
    if (!justId) pending.deliveries += 1;
    claimed.push(justId ? formatId(pending.id) : entryReply(entry));
  }
  return [formatId(next), claimed, deleted];
}

// -- XINFO ----------------------------------------------------------------------------------------------------

const text = (name: string): Bytes => asciiBytes(name);

function xinfo(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const what = wordAt(args, 0);
  const needed = { STREAM: 2, GROUPS: 2, CONSUMERS: 3 }[what];
  if (needed === undefined) throw unknownSubcommand('XINFO', bytesAt(args, 0));
  if (args.length < needed || (args.length > needed && what !== 'STREAM')) {
    throw wrongArity(`xinfo|${what.toLowerCase()}`);
  }
  if (args.length > needed) throw syntaxError();
  const key = bytesAt(args, 1);
  const stream = keyspace.read(key, StreamValue);
  if (stream === undefined) throw noSuchKey();
  if (what === 'STREAM') return streamInfo(stream);
  if (what === 'GROUPS') return byName(stream.groups).map(([name, group]) => groupInfo(stream, name, group));
  const group = stream.groups.get(bytesAt(args, 2));
  if (group === undefined) throw noSuchGroup(key, bytesAt(args, 2));
  return byName(group.consumers).map(([name, consumer]) => [
    text('name'),
    name,
    text('pending'),
    group.pendingOf(consumer).length,
    text('idle'),
    Math.max(0, keyspace.now - consumer.seenAt),
  ]);
}

function byName<T>(map: ReadonlyMap<Bytes, T>): (readonly [Bytes, T])[] {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** Without what tells of the radix tree that is not here. */
function streamInfo(stream: StreamValue): EngineReply {
  const { first, last } = stream.entries;
  return [
    text('length'),
    stream.entries.size,
    text('last-generated-id'),
    formatId(stream.lastId),
    text('max-deleted-entry-id'),
    formatId(stream.maxDeletedId),
    text('entries-added'),
    stream.entriesAdded,
    text('recorded-first-entry-id'),
    formatId(first?.id ?? 0n),
    text('groups'),
    stream.groups.size,
    text('first-entry'),
    first === undefined ? null : entryReply(first),
    text('last-entry'),
    last === undefined ? null : entryReply(last),
  ];
}

function groupInfo(stream: StreamValue, name: Bytes, group: ConsumerGroup): EngineReply {
  const ahead = upTo(Infinity, stream.entries.range(group.lastId + 1n, HIGHEST_ID)).length;
  return [
    text('name'),
    name,
    text('consumers'),
    group.consumers.size,
    text('pending'),
    group.pending.size,
    text('last-delivered-id'),
    formatId(group.lastId),
    text('entries-read'),
    group.entriesRead ?? null,
    text('lag'),
    ahead,
  ];
}

export const streamGroupCommands: readonly CommandSpec[] = [
  { ...grow('xgroup', -2, xgroup), creates: 'second' },
  shrink('xreadgroup', -7, xreadgroup),
  shrink('xack', -4, xack),
  read('xpending', -3, xpending),
  shrink('xclaim', -6, xclaim),
  shrink('xautoclaim', -6, xautoclaim),
  read('xinfo', -2, xinfo),
];
