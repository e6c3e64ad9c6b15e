/** The options of SCAN and of its relatives on one key. */
import type { Arg } from '../redis-client.js';
import { compileGlob, type GlobMatcher } from '../redis-glob.js';
import { bytesAt, longAt, required, wordAt } from './arguments.js';
import { asciiBytes, type Bytes } from './byte-string.js';
import { failure, syntaxError } from './command-failure.js';
import type { EngineReply } from './engine-reply.js';

export interface ScanFilter {
  count: number;
  matches: GlobMatcher | undefined;
  /** In lower case. */
  type: string | undefined;
}

const FINISHED = asciiBytes('0');
const DEFAULT_COUNT = 10;
const HIGHEST_CURSOR = 2n ** 64n;

export function cursorAt(args: readonly Arg[], index: number): number {
  const text = bytesAt(args, index);
  // `strtoul` takes nothing at all for zero.
  if (text === '') return 0;
  if (!/^[+-]?\d+$/u.test(text) || BigInt(text.replace(/^[+-]/u, '')) >= HIGHEST_CURSOR) {
    throw failure('invalid cursor');
  }
  // A cursor this engine never gave out: beyond the end, so the scan is over.
  const cursor = Number(text);
  return Number.isSafeInteger(cursor) && cursor >= 0 ? cursor : Number.MAX_SAFE_INTEGER;
}

export function parseScanFilter(args: readonly Arg[], start: number, takesType: boolean): ScanFilter {
  const filter: ScanFilter = { count: DEFAULT_COUNT, matches: undefined, type: undefined };
  for (let i = start; i < args.length; i += 2) {
    const word = wordAt(args, i);
    required(args, i + 1);
    if (word === 'COUNT') {
      filter.count = longAt(args, i + 1);
      if (filter.count < 1) throw syntaxError();
    } else if (word === 'MATCH') {
      filter.matches = compileGlob(bytesAt(args, i + 1));
    } else if (word === 'TYPE' && takesType) {
      filter.type = bytesAt(args, i + 1).toLowerCase();
    } else {
      throw syntaxError();
    }
  }
  return filter;
}

/**
 * HSCAN, SSCAN and ZSCAN: everything in one answer, as Redis does for small collections. That keeps the
 * promise that a member present throughout is returned, at the price of one long answer for a large one.
 */
export function scanMembers(
  args: readonly Arg[],
  members: () => readonly (readonly [Bytes, ...Bytes[]])[] | undefined,
): EngineReply {
  cursorAt(args, 1);
  const found = members();
  if (found === undefined) return [FINISHED, []];
  const { matches } = parseScanFilter(args, 2, false);
  return [FINISHED, found.filter(([name]) => matches === undefined || matches(name)).flat()];
}
