/** Commands on sorted sets, except those that read a range. */
import type { Arg } from '../redis-client.js';
import { bytesAt, bytesFrom, countAt, doubleAt, longAt, wordAt } from './arguments.js';
import { asciiBytes, type Bytes } from './byte-string.js';
import { failure, syntaxError } from './command-failure.js';
import { grow, read, shrink, type CommandContext, type CommandSpec } from './command-spec.js';
import type { EngineReply } from './engine-reply.js';
import { clampRange, type IndexRange } from './index-range.js';
import { pickDistinct, pickWithRepeats } from './random-picks.js';
import { scanMembers } from './scan-options.js';
import { formatDouble } from './score.js';
import { lexRangeAt, ranksWithin, scoreRangeAt, type OrderRange } from './sorted-set-ranges.js';
import { SortedSetValue, type ScoredMember } from './sorted-set-value.js';

interface AddOptions {
  readonly nx: boolean;
  readonly xx: boolean;
  readonly gt: boolean;
  readonly lt: boolean;
  readonly ch: boolean;
  readonly incr: boolean;
}

/** What became of one member; `'kept'`: a condition forbade to touch it. */
type Outcome = 'added' | 'updated' | 'same' | 'kept';

const LARGEST_WHOLE_SCORE = 2 ** 62;
const ADD_OPTIONS = new Set(['NX', 'XX', 'GT', 'LT', 'CH', 'INCR']);

export function sortedSetAt(args: readonly Arg[], { keyspace }: CommandContext): SortedSetValue | undefined {
  return keyspace.read(bytesAt(args, 0), SortedSetValue);
}

function scoreBytes(score: number): Bytes {
  return asciiBytes(formatDouble(score));
}

function zadd(alwaysIncrement: boolean) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    const { options, first } = parseAddOptions(args, alwaysIncrement);
    const pairs = parsePairs(args, first);
    const key = bytesAt(args, 0);
    const set = options.xx ? keyspace.edit(key, SortedSetValue) : keyspace.open(key, SortedSetValue);
    if (set === undefined) return options.incr ? null : 0;
    const counts = { added: 0, updated: 0, same: 0, kept: 0 };
    let score = 0;
    for (const pair of pairs) {
      const result = addOne(set, pair, options);
      counts[result.outcome] += 1;
      ({ score } = result);
    }
    if (options.incr) return counts.kept > 0 ? null : scoreBytes(score);
    return counts.added + (options.ch ? counts.updated : 0);
  };
}

function parseAddOptions(args: readonly Arg[], incr: boolean): { options: AddOptions; first: number } {
  const words = new Set<string>();
  let first = 1;
  while (first < args.length && ADD_OPTIONS.has(wordAt(args, first))) {
    words.add(wordAt(args, first));
    first += 1;
  }
  const options = {
    nx: words.has('NX'),
    xx: words.has('XX'),
    gt: words.has('GT'),
    lt: words.has('LT'),
    ch: words.has('CH'),
    incr: incr || words.has('INCR'),
  };
  const elements = args.length - first;
  if (elements === 0 || elements % 2 !== 0) throw syntaxError();
  assertCompatible(options, elements / 2);
  return { options, first };
}

function assertCompatible({ nx, xx, gt, lt, incr }: AddOptions, pairs: number): void {
  if (nx && xx) throw failure('XX and NX options at the same time are not compatible');
  if ((nx && (gt || lt)) || (gt && lt)) {
    throw failure('GT, LT, and/or NX options at the same time are not compatible');
  }
  if (incr && pairs > 1) throw failure('INCR option supports a single increment-element pair');
}

/** All scores are read before anything is changed. */
function parsePairs(args: readonly Arg[], first: number): ScoredMember[] {
  const pairs: ScoredMember[] = [];
  for (let i = first; i < args.length; i += 2) {
    pairs.push({ score: doubleAt(args, i), member: bytesAt(args, i + 1) });
  }
  return pairs;
}

function addOne(
  set: SortedSetValue,
  { member, score: given }: ScoredMember,
  { nx, xx, gt, lt, incr }: AddOptions,
): { outcome: Outcome; score: number } {
  const present = set.score(member);
  if (present === undefined) {
    if (xx) return { outcome: 'kept', score: given };
    set.set(member, given);
    return { outcome: 'added', score: given };
  }
  if (nx) return { outcome: 'kept', score: given };
  const score = incr ? present + given : given;
  if (Number.isNaN(score)) throw failure('resulting score is not a number (NaN)');
  if ((lt && score >= present) || (gt && score <= present)) return { outcome: 'kept', score };
  if (score === present) return { outcome: 'same', score };
  set.set(member, score);
  return { outcome: 'updated', score };
}

function zrem(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  const set = keyspace.edit(bytesAt(args, 0), SortedSetValue);
  if (set === undefined) return 0;
  return bytesFrom(args, 1).filter((member) => set.delete(member)).length;
}

function scoreReply(score: number | undefined): EngineReply {
  return score === undefined ? null : scoreBytes(score);
}

function zmscore(args: readonly Arg[], context: CommandContext): EngineReply {
  const set = sortedSetAt(args, context);
  return bytesFrom(args, 1).map((member) => scoreReply(set?.score(member)));
}

function rank(reverse: boolean) {
  return (args: readonly Arg[], context: CommandContext): EngineReply => {
    const set = sortedSetAt(args, context);
    const found = set?.rank(bytesAt(args, 1));
    if (set === undefined || found === undefined) return null;
    return reverse ? set.size - 1 - found : found;
  };
}

function count(rangeOf: (args: readonly Arg[], min: number, max: number) => OrderRange) {
  return (args: readonly Arg[], context: CommandContext): EngineReply => {
    const range = rangeOf(args, 1, 2);
    const set = sortedSetAt(args, context);
    if (set === undefined) return 0;
    const { start, end } = ranksWithin(set, range);
    return end - start;
  };
}

function removeRange(rangeOf: (args: readonly Arg[]) => (set: SortedSetValue) => IndexRange) {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    const ranks = rangeOf(args);
    const set = keyspace.edit(bytesAt(args, 0), SortedSetValue);
    if (set === undefined) return 0;
    const { start, end } = ranks(set);
    const doomed = set.slice(start, end);
    for (const { member } of doomed) set.delete(member);
    return doomed.length;
  };
}

function pop(end: 'lowest' | 'highest') {
  return (args: readonly Arg[], { keyspace }: CommandContext): EngineReply => {
    if (args.length > 2) throw syntaxError();
    const wanted = args.length === 2 ? countAt(args, 1) : 1;
    const set = keyspace.edit(bytesAt(args, 0), SortedSetValue);
    if (set === undefined) return [];
    const taken =
      end === 'lowest'
        ? set.slice(0, Math.min(wanted, set.size))
        : set.slice(Math.max(set.size - wanted, 0), set.size).toReversed();
    for (const { member } of taken) set.delete(member);
    return withScores(taken);
  };
}

export function withScores(items: readonly ScoredMember[]): Bytes[] {
  return items.flatMap(({ member, score }) => [member, scoreBytes(score)]);
}

function zrandmember(args: readonly Arg[], context: CommandContext): EngineReply {
  const scored = args.length === 3;
  const wanted = args.length === 1 ? undefined : longAt(args, 1);
  if (args.length > 3 || (scored && wordAt(args, 2) !== 'WITHSCORES')) throw syntaxError();
  const set = sortedSetAt(args, context);
  const items = set?.slice(0, set.size) ?? [];
  if (wanted === undefined) return pickDistinct(items, 1)[0]?.member ?? null;
  const picked = wanted < 0 ? pickWithRepeats(items, -wanted) : pickDistinct(items, wanted);
  return scored ? withScores(picked) : picked.map(({ member }) => member);
}

/** A small set keeps whole scores as integers, and ZSCAN shows them as they are kept. */
function scannedScore(score: number): Bytes {
  const whole = Number.isInteger(score) && Math.abs(score) <= LARGEST_WHOLE_SCORE;
  return whole ? asciiBytes(BigInt(score)) : scoreBytes(score);
}

function zscan(args: readonly Arg[], { keyspace }: CommandContext): EngineReply {
  return scanMembers(args, () => {
    const set = keyspace.read(bytesAt(args, 0), SortedSetValue);
    return set?.slice(0, set.size).map(({ member, score }) => [member, scannedScore(score)] as const);
  });
}

function byRank(args: readonly Arg[]) {
  const [first, last] = [longAt(args, 1), longAt(args, 2)];
  return (set: SortedSetValue): IndexRange => clampRange(first, last, set.size);
}

function byScore(args: readonly Arg[]) {
  const range = scoreRangeAt(args, 1, 2);
  return (set: SortedSetValue): IndexRange => ranksWithin(set, range);
}

function byLex(args: readonly Arg[]) {
  const range = lexRangeAt(args, 1, 2);
  return (set: SortedSetValue): IndexRange => ranksWithin(set, range);
}

export const sortedSetCommands: readonly CommandSpec[] = [
  grow('zadd', -4, zadd(false)),
  grow('zincrby', 4, zadd(true)),
  shrink('zrem', -3, zrem),
  read('zscore', 3, (args, context) => scoreReply(sortedSetAt(args, context)?.score(bytesAt(args, 1)))),
  read('zmscore', -3, zmscore),
  read('zcard', 2, (args, context) => sortedSetAt(args, context)?.size ?? 0),
  read('zrank', 3, rank(false)),
  read('zrevrank', 3, rank(true)),
  read('zcount', 4, count(scoreRangeAt)),
  read('zlexcount', 4, count(lexRangeAt)),
  shrink('zremrangebyrank', 4, removeRange(byRank)),
  shrink('zremrangebyscore', 4, removeRange(byScore)),
  shrink('zremrangebylex', 4, removeRange(byLex)),
  shrink('zpopmin', -2, pop('lowest')),
  shrink('zpopmax', -2, pop('highest')),
  read('zrandmember', -2, zrandmember),
  read('zscan', -3, zscan),
];
