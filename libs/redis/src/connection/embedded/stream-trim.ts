/** `MAXLEN` and `MINID`, as XADD and XTRIM take them. */
import type { Arg } from '../redis-client.js';
import { bytesAt, longAt, required, wordAt } from './arguments.js';
import { failure, syntaxError } from './command-failure.js';
import { parseId } from './stream-id.js';

export interface Trim {
  readonly strategy: 'MAXLEN' | 'MINID';
  /** A length, or the lowest id that stays. */
  readonly threshold: bigint;
  readonly limit: number;
}

export interface TrimOptions {
  /** Asked when the id has been read: what is wrong with that one is told first. */
  trim(): Trim | undefined;
  readonly create: boolean;
  /** Where the options end. */
  readonly next: number;
}

interface Draft {
  strategy: Trim['strategy'] | undefined;
  threshold: bigint;
  about: boolean;
  limit: number | undefined;
  create: boolean;
}

/** For XADD: options up to the id. `~` trims exactly here, which is within what it allows. */
export function parseTrimOptions(args: readonly Arg[], start: number): TrimOptions {
  const draft = newDraft();
  let at = start;
  for (; at < args.length;) {
    const word = wordAt(args, at);
    if (word === 'NOMKSTREAM') {
      draft.create = false;
      at += 1;
    } else if (isTrimWord(word, args, at)) at = readOption(draft, args, at);
    else break;
  }
  return { trim: () => finish(draft), create: draft.create, next: at };
}

/** For XTRIM: nothing but options. */
export function parseTrim(args: readonly Arg[], start: number): Trim {
  const draft = newDraft();
  let at = start;
  while (at < args.length) {
    if (!isTrimWord(wordAt(args, at), args, at)) throw syntaxError();
    at = readOption(draft, args, at);
  }
  const trim = finish(draft);
  if (trim === undefined) throw failure('syntax error, XTRIM must be called with a trimming strategy');
  return trim;
}

function newDraft(): Draft {
  return { strategy: undefined, threshold: 0n, about: false, limit: undefined, create: true };
}

/** The last argument can not be one: then it is the id, or nothing. */
function isTrimWord(word: string, args: readonly Arg[], at: number): boolean {
  return ['MAXLEN', 'MINID', 'LIMIT'].includes(word) && at + 1 < args.length;
}

/** Answers where the next option begins. */
function readOption(draft: Draft, args: readonly Arg[], start: number): number {
  const word = wordAt(args, start);
  if (word === 'LIMIT') {
    draft.limit = longAt(args, start + 1);
    if (draft.limit < 0) throw failure('The LIMIT argument must be >= 0.');
    return start + 2;
  }
  if (draft.strategy !== undefined)
    throw failure('syntax error, MAXLEN and MINID options at the same time are not compatible');
  let at = start + 1;
  const sign = bytesAt(args, at);
  if (sign === '~' || sign === '=') {
    draft.about = sign === '~';
    at += 1;
  }
  required(args, at);
  if (word === 'MAXLEN') {
    draft.strategy = 'MAXLEN';
    draft.threshold = BigInt(longAt(args, at));
    if (draft.threshold < 0n) throw failure('The MAXLEN argument must be >= 0.');
  } else {
    draft.strategy = 'MINID';
    draft.threshold = parseId(bytesAt(args, at), 0n);
  }
  return at + 1;
}

function finish({ strategy, threshold, about, limit }: Draft): Trim | undefined {
  if (limit !== undefined && strategy === undefined) {
    throw failure('syntax error, LIMIT cannot be used without specifying a trimming strategy');
  }
  if (limit !== undefined && !about) {
    throw failure('syntax error, LIMIT cannot be used without the special ~ option');
  }
  if (strategy === undefined) return undefined;
  return { strategy, threshold, limit: limit === undefined || limit === 0 ? Infinity : limit };
}
