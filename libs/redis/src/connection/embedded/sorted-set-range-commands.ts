/** ZRANGE and the older commands it has taken in. */
import type { Arg } from '../redis-client.js';
import { longAt, wordAt } from './arguments.js';
import { failure, syntaxError } from './command-failure.js';
import { read, type CommandContext, type CommandSpec } from './command-spec.js';
import type { EngineReply } from './engine-reply.js';
import { clampRange, type IndexRange } from './index-range.js';
import { sortedSetAt, withScores } from './sorted-set-commands.js';
import { lexRangeAt, ranksWithin, scoreRangeAt } from './sorted-set-ranges.js';
import type { ScoredMember, SortedSetValue } from './sorted-set-value.js';

type By = 'rank' | 'score' | 'lex';

interface RangeOptions {
  /** `undefined` until an option or the default decides. */
  by: By | undefined;
  reverse: boolean | undefined;
  withScores: boolean;
  limit: { readonly offset: number; readonly count: number } | undefined;
}

/** What the command's name has already decided, so that it takes no option for it. */
type Fixed = Pick<RangeOptions, 'by' | 'reverse'>;

function range(fixed: Fixed) {
  return (args: readonly Arg[], context: CommandContext): EngineReply => {
    const options = parseRangeOptions(args, fixed);
    const ranksOf = parseBounds(args, options);
    const set = sortedSetAt(args, context);
    if (set === undefined) return [];
    const items = select(set, ranksOf(set), options);
    return options.withScores ? withScores(items) : items.map(({ member }) => member);
  };
}

function parseRangeOptions(args: readonly Arg[], fixed: Fixed): RangeOptions {
  const options: RangeOptions = { ...fixed, withScores: false, limit: undefined };
  for (let i = 3; i < args.length; i += 1) {
    const word = wordAt(args, i);
    if (word === 'WITHSCORES') {
      options.withScores = true;
    } else if (word === 'LIMIT' && i + 2 < args.length) {
      options.limit = { offset: longAt(args, i + 1), count: longAt(args, i + 2) };
      i += 2;
    } else {
      parseOrderOption(word, options);
    }
  }
  assertCompatible(options);
  return options;
}

function parseOrderOption(word: string, options: RangeOptions): void {
  if (word === 'REV' && options.reverse === undefined) options.reverse = true;
  else if (word === 'BYLEX' && options.by === undefined) options.by = 'lex';
  else if (word === 'BYSCORE' && options.by === undefined) options.by = 'score';
  else throw syntaxError();
}

function assertCompatible({ by = 'rank', limit, withScores: scored }: RangeOptions): void {
  if (limit !== undefined && limit.count !== -1 && by === 'rank') {
    throw failure('syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX');
  }
  if (scored && by === 'lex') {
    throw failure('syntax error, WITHSCORES not supported in combination with BYLEX');
  }
}

function parseBounds(args: readonly Arg[], { by = 'rank', reverse = false }: RangeOptions) {
  if (by === 'rank') {
    const [first, last] = [longAt(args, 1), longAt(args, 2)];
    return (set: SortedSetValue): IndexRange => {
      const { start, end } = clampRange(first, last, set.size);
      return reverse ? { start: set.size - end, end: set.size - start } : { start, end };
    };
  }
  // A reversed range is written with its higher end first.
  const [min, max] = reverse ? [2, 1] : [1, 2];
  const bounds = by === 'score' ? scoreRangeAt(args, min, max) : lexRangeAt(args, min, max);
  return (set: SortedSetValue): IndexRange => ranksWithin(set, bounds);
}

function select(set: SortedSetValue, { start, end }: IndexRange, options: RangeOptions): ScoredMember[] {
  const { limit, reverse = false } = options;
  if (limit === undefined || (options.by ?? 'rank') === 'rank')
    return ordered(set.slice(start, end), reverse);
  // A negative offset is beyond every member; a negative count is no limit.
  if (limit.offset < 0) return [];
  const count = limit.count < 0 ? end - start : limit.count;
  const [from, to] = reverse
    ? [end - limit.offset - count, end - limit.offset]
    : [start + limit.offset, start + limit.offset + count];
  return ordered(set.slice(Math.max(from, start), Math.min(to, end)), reverse);
}

function ordered(items: ScoredMember[], reverse: boolean): ScoredMember[] {
  return reverse ? items.toReversed() : items;
}

export const sortedSetRangeCommands: readonly CommandSpec[] = [
  read('zrange', -4, range({ by: undefined, reverse: undefined })),
  read('zrevrange', -4, range({ by: 'rank', reverse: true })),
  read('zrangebyscore', -4, range({ by: 'score', reverse: false })),
  read('zrevrangebyscore', -4, range({ by: 'score', reverse: true })),
  read('zrangebylex', -4, range({ by: 'lex', reverse: false })),
  read('zrevrangebylex', -4, range({ by: 'lex', reverse: true })),
];
