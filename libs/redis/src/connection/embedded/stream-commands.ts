/** Commands on streams, but for those of groups. */
import type { Arg } from '../redis-client.js';
import { bytesAt, bytesFrom, longAt, required, wordAt } from './arguments.js';
import { asciiBytes, type Bytes } from './byte-string.js';
import { failure, syntaxError, wrongArity } from './command-failure.js';
import { grow, read, shrink, type CommandContext, type CommandSpec } from './command-spec.js';
import type { EngineReply } from './engine-reply.js';
import { boundAt, formatId, HIGHEST_ID, idAt, msOf, parseId, sequenceOf, streamId } from './stream-id.js';
import { parseTrim, parseTrimOptions, type Trim } from './stream-trim.js';
import { StreamValue, type StreamEntry } from './stream-value.js';

export function entryReply({ id, fields }: StreamEntry): EngineReply {
  return [formatId(id), fields];
}

function xadd(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const options = parseTrimOptions(args, 1);
  const { create, next } = options;
  // Read before the key is looked at, as it may be wrong in itself.
  const text = bytesAt(args, next);
  const given = text === '*' ? undefined : parseGiven(text);
  const trim = options.trim();
  const fields = bytesFrom(args, next + 1);
  if (fields.length === 0 || fields.length % 2 === 1) throw wrongArity('xadd');
  if (given?.id === 0n && !given.anySequence) {
    throw failure('The ID specified in XADD must be greater than 0-0');
  }
  const key = bytesAt(args, 0);
  const stream = create ? keyspace.open(key, StreamValue) : keyspace.edit(key, StreamValue);
  if (stream === undefined) return null;
  const id = nextId(stream, given, keyspace.now);
  stream.add(id, fields);
  if (trim !== undefined) applyTrim(stream, trim);
  return formatId(id);
}

interface Given {
  readonly id: bigint;
  /** `ms-*`: the sequence is chosen. */
  readonly anySequence: boolean;
}

function parseGiven(text: string): Given {
  const anySequence = /^\d+-\*$/u.test(text);
  return { id: parseId(anySequence ? text.slice(0, -2) : text, 0n), anySequence };
}

function nextId(stream: StreamValue, given: Given | undefined, now: number): bigint {
  const { lastId } = stream;
  if (lastId === HIGHEST_ID) {
    throw failure('The stream has exhausted the last possible ID, unable to add more items');
  }
  if (given === undefined) {
    const byTime = streamId(BigInt(now), 0n);
    return byTime > lastId ? byTime : lastId + 1n;
  }
  const id = given.anySequence ? sequenceAfter(lastId, given.id) : given.id;
  if (id === undefined || id <= lastId) {
    throw failure('The ID specified in XADD is equal or smaller than the target stream top item');
  }
  return id;
}

function sequenceAfter(lastId: bigint, wanted: bigint): bigint | undefined {
  if (msOf(lastId) !== msOf(wanted)) return wanted === 0n ? 1n : wanted;
  return sequenceOf(lastId + 1n) === 0n ? undefined : lastId + 1n;
}

function applyTrim(stream: StreamValue, { strategy, threshold, limit }: Trim): number {
  if (strategy === 'MAXLEN') return stream.trim(() => stream.entries.size > Number(threshold), limit);
  return stream.trim((first) => first.id < threshold, limit);
}

function xtrim(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const trim = parseTrim(args, 1);
  const stream = keyspace.edit(bytesAt(args, 0), StreamValue);
  return stream === undefined ? 0 : applyTrim(stream, trim);
}

function xdel(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const stream = keyspace.edit(bytesAt(args, 0), StreamValue);
  if (stream === undefined) return 0;
  const ids = args.slice(1).map((_, i) => idAt(args, i + 1));
  return ids.filter((id) => stream.delete(id)).length;
}

function range(reverse: boolean) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    const [start, end] = reverse ? [2, 1] : [1, 2];
    const from = boundAt(args, start, 'start');
    const to = boundAt(args, end, 'end');
    const count = args.length > 3 ? rangeCount(args) : Infinity;
    const stream = keyspace.read(bytesAt(args, 0), StreamValue);
    if (stream === undefined) return [];
    // For a count of 0 Redis says that there is nothing, not an empty list.
    if (count === 0) return null;
    const { entries } = stream;
    return upTo(count, reverse ? entries.reverseRange(from, to) : entries.range(from, to)).map(entryReply);
  };
}

function rangeCount(args: readonly Arg[]): number {
  let count = Infinity;
  for (let i = 3; i < args.length; i += 2) {
    if (wordAt(args, i) !== 'COUNT' || i + 1 >= args.length) throw syntaxError();
    count = Math.max(0, longAt(args, i + 1));
  }
  return count;
}

export function upTo<T>(count: number, items: Iterable<T>): T[] {
  const taken: T[] = [];
  for (const item of items) {
    if (taken.length >= count) break;
    taken.push(item);
  }
  return taken;
}

export interface StreamsClause {
  readonly keys: readonly Bytes[];
  readonly ids: readonly Bytes[];
}

/** `STREAMS key … id …`, at `index`. */
export function streamsAt(command: string, args: readonly Arg[], index: number): StreamsClause {
  const rest = bytesFrom(args, index + 1);
  if (rest.length === 0 || rest.length % 2 === 1) {
    const id = command === 'xreadgroup' ? "an ID or '>'" : "an ID or '$'";
    throw failure(`Unbalanced '${command}' list of streams: for each stream key ${id} must be specified.`);
  }
  return { keys: rest.slice(0, rest.length / 2), ids: rest.slice(rest.length / 2) };
}

function xread(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  let count = Infinity;
  let at = 0;
  for (; at < args.length && wordAt(args, at) !== 'STREAMS'; at += 2) {
    const word = wordAt(args, at);
    required(args, at + 1);
    if (word === 'COUNT') count = countOf(longAt(args, at + 1));
    else if (word === 'BLOCK') blockOf(longAt(args, at + 1));
    else throw syntaxError();
  }
  if (at >= args.length) throw syntaxError();
  const { keys, ids } = streamsAt('xread', args, at);
  const found: EngineReply[] = [];
  const places = keys.map((key, i) => {
    const stream = keyspace.read(key, StreamValue);
    const id = ids[i] ?? asciiBytes('$');
    return { key, stream, after: id === '$' ? (stream?.lastId ?? 0n) : parseId(id, 0n) };
  });
  for (const { key, stream, after } of places) {
    if (stream === undefined || after === HIGHEST_ID) continue;
    const entries = upTo(count, stream.entries.range(after + 1n, HIGHEST_ID));
    if (entries.length > 0) found.push([key, entries.map(entryReply)]);
  }
  return found.length === 0 ? null : found;
}

/** Nothing or less means all. */
export function countOf(count: number): number {
  return count <= 0 ? Infinity : count;
}

/** There is nothing to wait for inside a process: as in a script, it answers at once. */
export function blockOf(ms: number): void {
  if (ms < 0) throw failure('timeout is negative');
}

export const streamCommands: readonly CommandSpec[] = [
  grow('xadd', -5, xadd),
  shrink('xtrim', -4, xtrim),
  shrink('xdel', -3, xdel),
  read('xlen', 2, (args, { keyspace }) => keyspace.read(bytesAt(args, 0), StreamValue)?.entries.size ?? 0),
  read('xrange', -4, range(false)),
  read('xrevrange', -4, range(true)),
  read('xread', -4, xread),
];
