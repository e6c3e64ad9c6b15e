/** The bounds of ZRANGE, ZCOUNT and their like: by score, by bytes, with `(`, `[`, `-`, `+` and infinities. */
import type { Arg } from '../redis-client.js';
import { bytesAt } from './arguments.js';
import { sliceBytes, type Bytes } from './byte-string.js';
import { failure } from './command-failure.js';
import { parseDouble } from './score.js';
import type { IndexRange } from './index-range.js';
import type { ScoredMember, SortedSetValue } from './sorted-set-value.js';

/** A range over the order of a sorted set: where it begins, and where what lies behind it begins. */
export interface OrderRange {
  readonly reached: (item: ScoredMember) => boolean;
  readonly passed: (item: ScoredMember) => boolean;
  /** No member can lie in it. */
  readonly empty: boolean;
}

export function scoreRangeAt(args: readonly Arg[], min: number, max: number): OrderRange {
  const low = scoreBound(bytesAt(args, min));
  const high = scoreBound(bytesAt(args, max));
  return {
    reached: ({ score }) => (low.exclusive ? score > low.score : score >= low.score),
    passed: ({ score }) => (high.exclusive ? score >= high.score : score > high.score),
    empty: low.score > high.score || (low.score === high.score && (low.exclusive || high.exclusive)),
  };
}

function scoreBound(text: Bytes): { score: number; exclusive: boolean } {
  const exclusive = text.startsWith('(');
  // As `strtod` on a C string: it ends at a zero byte, leading blanks are skipped, and nothing reads as zero.
  const [number = ''] = (exclusive ? text.slice(1) : text).split('\0');
  const score = number === '' ? 0 : parseDouble(number.replace(/^[ \t\n\v\f\r]+/u, ''));
  if (score === undefined) throw failure('min or max is not a float');
  return { score, exclusive };
}

type LexBound =
  | { readonly kind: 'lowest' | 'highest' }
  | { readonly kind: 'member'; readonly member: Bytes; readonly exclusive: boolean };

export function lexRangeAt(args: readonly Arg[], min: number, max: number): OrderRange {
  const low = lexBound(bytesAt(args, min));
  const high = lexBound(bytesAt(args, max));
  return {
    reached: ({ member }) =>
      low.kind === 'member'
        ? low.exclusive
          ? member > low.member
          : member >= low.member
        : low.kind === 'lowest',
    passed: ({ member }) =>
      high.kind === 'member'
        ? high.exclusive
          ? member >= high.member
          : member > high.member
        : high.kind === 'lowest',
    empty: isEmptyLexRange(low, high),
  };
}

function isEmptyLexRange(low: LexBound, high: LexBound): boolean {
  if (low.kind === 'highest' || high.kind === 'lowest') return true;
  if (low.kind !== 'member' || high.kind !== 'member') return false;
  return low.member > high.member || (low.member === high.member && (low.exclusive || high.exclusive));
}

function lexBound(text: Bytes): LexBound {
  if (text === '-') return { kind: 'lowest' };
  if (text === '+') return { kind: 'highest' };
  const exclusive = text.startsWith('(');
  if (!exclusive && !text.startsWith('[')) throw failure('min or max not valid string range item');
  return { kind: 'member', member: sliceBytes(text, 1, text.length), exclusive };
}

export function ranksWithin(set: SortedSetValue, range: OrderRange): IndexRange {
  if (range.empty) return { start: 0, end: 0 };
  const start = set.countBefore(range.reached);
  return { start, end: Math.max(start, set.countBefore(range.passed)) };
}
