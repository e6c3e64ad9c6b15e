/**
 * What the client must know of a command before it may send or repeat it: does it write, is twice the same
 * as once, where are its keys, and may it run on a connection that others share.
 *
 * A command that is not listed is taken for a write that must not run twice, with its key in front. That
 * errs on the safe side: at worst a retry is not made.
 */
import { CommandRefusedError } from './connection.errors.js';
import type { Arg } from './reply.js';

export interface CommandTraits {
  readonly readOnly: boolean;
  /** Running it twice leaves the state, though perhaps not the reply, that running it once leaves. */
  readonly idempotent: boolean;
}

const READ: CommandTraits = { readOnly: true, idempotent: true };
const REPEATABLE_WRITE: CommandTraits = { readOnly: false, idempotent: true };
const WRITE: CommandTraits = { readOnly: false, idempotent: false };

const TRAITS: ReadonlyMap<string, CommandTraits> = new Map([
  ...words(
    `GET MGET STRLEN GETRANGE EXISTS TTL PTTL EXPIRETIME PEXPIRETIME TYPE RANDOMKEY DBSIZE SCAN OBJECT MEMORY
     HGET HMGET HGETALL HEXISTS HLEN HKEYS HVALS HSCAN HSTRLEN HRANDFIELD
     SMEMBERS SISMEMBER SMISMEMBER SCARD SSCAN SRANDMEMBER SINTER SUNION SDIFF SINTERCARD
     ZSCORE ZMSCORE ZCARD ZCOUNT ZRANGE ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE ZRANK ZREVRANK ZSCAN
     LLEN LRANGE LINDEX LPOS XLEN XRANGE XREVRANGE XPENDING XINFO BITCOUNT GETBIT
     PING ECHO TIME INFO ROLE COMMAND CLUSTER PUBSUB EVAL_RO EVALSHA_RO`,
  ).map((name) => [name, READ] as const),
  // Absolute writes only. INCR, LPUSH, SET NX, GETDEL, PUBLISH and their like are deliberately missing.
  ...words(
    `SETEX PSETEX MSET DEL UNLINK PERSIST TOUCH EXPIREAT PEXPIREAT EXPIRE PEXPIRE
     HSET HMSET HDEL SADD SREM ZREM ZREMRANGEBYSCORE LTRIM LSET XACK XDEL XTRIM SCRIPT`,
  ).map((name) => [name, REPEATABLE_WRITE] as const),
]);

// PUBLISH is missing: routed by its channel, what one sender says on it stays in order in a cluster.
const WITHOUT_KEY = new Set(
  words('PING ECHO TIME INFO ROLE COMMAND CLUSTER PUBSUB SCRIPT DBSIZE RANDOMKEY SCAN MEMORY'),
);
const KEY_IN_SECOND_PLACE = new Set(words('OBJECT XINFO XGROUP'));
const KEYS_BY_NUMBER = new Set(words('EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO'));
const KEYS_BY_NUMBER_FIRST = new Set(words('SINTERCARD ZINTER ZUNION ZDIFF ZINTERCARD LMPOP ZMPOP'));

const REFUSED: ReadonlyMap<string, string> = new Map([
  ...words('BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF').map(
    (name) =>
      [name, 'it blocks the connection all calls share; use a connection of your own: client()'] as const,
  ),
  ...words('SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR').map(
    (name) => [name, 'use subscribe(), which has a connection of its own'] as const,
  ),
  ...words('MULTI EXEC DISCARD WATCH UNWATCH').map(
    (name) =>
      [
        name,
        'calls of others run in between on a shared connection; use a script: run(), or client()',
      ] as const,
  ),
  ...words('SELECT AUTH HELLO RESET QUIT ASKING READONLY READWRITE CLIENT').map(
    (name) =>
      [name, 'it changes the connection all calls share; set it in the options, or use client()'] as const,
  ),
  ...words('KEYS FLUSHALL FLUSHDB SWAPDB SHUTDOWN DEBUG').map(
    (name) =>
      [name, 'it stops or empties the server for everybody; use scan(), or client() if you mean it'] as const,
  ),
]);

export function traitsOf(name: string, args: readonly Arg[]): CommandTraits {
  const known = TRAITS.get(name);
  if (known !== undefined) return known;
  if (name === 'SET') return isAbsoluteSet(args) ? REPEATABLE_WRITE : WRITE;
  return WRITE;
}

/** Throws for commands that may not run on a shared connection. */
export function assertShareable(name: string, args: readonly Arg[] = []): void {
  const remedy = blocksOnStreams(name, args) ? REFUSED.get('BLPOP') : REFUSED.get(name);
  if (remedy === undefined) return;
  throw new CommandRefusedError(`${name} is not sent on a shared connection`, { hint: remedy });
}

/** `BLOCK` stands before `STREAMS`; after it are keys and ids. */
function blocksOnStreams(name: string, args: readonly Arg[]): boolean {
  if (name !== 'XREAD' && name !== 'XREADGROUP') return false;
  const options = args.map((arg) => (typeof arg === 'string' ? arg.toUpperCase() : ''));
  const at = options.indexOf('BLOCK');
  return at !== -1 && at < options.indexOf('STREAMS');
}

/** The first key, by which a cluster routes; `undefined` when the command names none. */
export function routingKey(name: string, args: readonly Arg[]): Arg | undefined {
  if (WITHOUT_KEY.has(name)) return undefined;
  if (KEY_IN_SECOND_PLACE.has(name)) return args[1];
  if (KEYS_BY_NUMBER.has(name)) return Number(args[1]) > 0 ? args[2] : undefined;
  if (KEYS_BY_NUMBER_FIRST.has(name)) return args[1];
  if (name === 'XREAD' || name === 'XREADGROUP') return keyAfterStreams(args);
  return args[0];
}

/** `NX`, `XX` and `GET` make the effect or the reply depend on what was there before. */
function isAbsoluteSet(args: readonly Arg[]): boolean {
  for (let i = 2; i < args.length; i += 1) {
    const option = args[i];
    if (typeof option !== 'string') continue;
    const word = option.toUpperCase();
    if (word === 'NX' || word === 'XX' || word === 'GET') return false;
  }
  return true;
}

function keyAfterStreams(args: readonly Arg[]): Arg | undefined {
  const at = args.findIndex((arg) => typeof arg === 'string' && arg.toUpperCase() === 'STREAMS');
  return at === -1 ? undefined : args[at + 1];
}

function words(text: string): string[] {
  return text.trim().split(/\s+/u);
}
