/**
 * What the script and its twin know of an algorithm: how a limit stands for a cost, what to tell of it, and what
 * to write when it is charged. Each algorithm has it twice, as Lua and as TypeScript, side by side in its file.
 *
 * All counting is in whole numbers below 2^53, which Lua and JavaScript both count exactly.
 */
import { RedisReplyError, type ScriptKeyspace } from '../connection/index.js';

/** What a limit is to the script. */
export interface Terms {
  /** Microseconds for one, or milliseconds of the window or of a held place. */
  readonly unit: number;
  readonly capacity: number;
}

/** One limit as it stands at one moment, before anything is charged. */
export interface Standing {
  /** What could be taken now; below zero after the limit was lowered. */
  readonly room: number;
  /** What is left, and the microseconds until there is more and until all of it is back. */
  tell(charge: number): Told;
  /** Microseconds until this cost would pass; -1 for never. */
  late(cost: number): number;
  save(charge: number): void;
  /** Gives back, as if it had not been charged. */
  restore(cost: number): void;
}

interface Told {
  readonly remaining: number;
  readonly more: number;
  readonly reset: number;
}

export interface Moment {
  readonly keyspace: ScriptKeyspace;
  /** The server's time in microseconds. */
  readonly now: number;
  /** Of a place to be held. */
  readonly holder: string;
}

export type Look = (moment: Moment, key: string, terms: Terms) => Standing;

/**
 * In Lua each algorithm is a table of four functions; what `look` returns after the room is handed to the others.
 * A key of a foreign type, or with a foreign text in it, counts as absent and is replaced by the next charge.
 */
export const LUA_PRELUDE = `
local floor, ceil, max, min, format = math.floor, math.ceil, math.max, math.min, string.format
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local ms = floor(now / 1000)
local function read(key)
  local found = redis.pcall('GET', key)
  if type(found) == 'string' then return found end
  return ''
end
local function digits(text)
  if #text <= 16 and string.match(text, '^%d+$') then return tonumber(text) end
  return nil
end
local algorithms = {}
`;

/** The text of a string; empty for no key and for a key of another type. */
export function readText(keyspace: ScriptKeyspace, key: string): string {
  try {
    const found = keyspace.call('GET', key);
    return Buffer.isBuffer(found) ? found.toString('latin1') : '';
  } catch (error) {
    if (isWrongType(error)) return '';
    throw error;
  }
}

export function isWrongType(error: unknown): boolean {
  return error instanceof RedisReplyError && error.kind === 'WRONGTYPE';
}

export function digits(text: string): number | undefined {
  return text.length <= 16 && /^\d+$/u.test(text) ? Number(text) : undefined;
}
