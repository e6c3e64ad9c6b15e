/**
 * The steps of a lock. Each may be run twice: after a lost answer the client repeats it, and gets the same
 * answer again.
 *
 * The fencing number is the server's time in microseconds, or one more than the last number where that is
 * greater. So it goes on growing when the record of the last one is gone: evicted, expired, or lost with a
 * primary that had not replicated it.
 */
import { defineScript, replyItems, type ScriptKeyspace } from '../connection/index.js';

/** 128 random bits in base64url. */
export const TOKEN_LENGTH = 22;
/** A ticket begins with the name of the process that waits. */
export const OWNER_LENGTH = 12;

/** As long as the clocks of two servers may differ; after that the time alone is greater. */
export const KEEP_FENCE_MS = 86_400_000;
/** Who waits looks at the lock far more often. */
export const KEEP_QUEUE_MS = 600_000;
export const KEEP_TURN_MS = 600_000;
/** Whose turn it is has this long to take the lock. */
export const TURN_MS = 1_000;

const TAKE = `
local function take(token, ttl)
  local time = redis.call('TIME')
  local fence = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local last = tonumber(redis.call('HGET', KEYS[2], 'n') or '0') or 0
  if last >= fence then fence = last + 1 end
  local text = string.format('%.0f', fence)
  redis.call('HSET', KEYS[2], 'n', text)
  redis.call('PEXPIRE', KEYS[2], ${KEEP_FENCE_MS})
  redis.call('SET', KEYS[1], token .. text, 'PX', ttl)
  return text
end`;

interface Take {
  /** Undefined when somebody else holds it. */
  readonly fence: number | undefined;
  /** Until that many milliseconds from now there is nothing to be had, as far as is known. */
  readonly leftMs: number;
  /** The ticket that was used up, when the lock was taken in order. */
  readonly ticket: string;
}

function decodeTake(reply: Parameters<typeof replyItems>[0]): Take {
  const [fence, left, ticket] = replyItems(reply).map(String);
  return { fence: fence === '' ? undefined : Number(fence), leftMs: Number(left), ticket: ticket ?? '' };
}

type HeldAndFence = readonly [held: string, fence: string];

export interface TakeArgs {
  readonly token: string;
  readonly ttlMs: number;
}

/** Takes the lock when nobody holds it. */
export const takeScript = defineScript({
  name: 'lock.take',
  lua: `${TAKE}
local held = redis.call('GET', KEYS[1])
if not held then return {take(ARGV[1], ARGV[2]), '0', ''} end
if string.sub(held, 1, ${TOKEN_LENGTH}) == ARGV[1] then return {string.sub(held, ${TOKEN_LENGTH + 1}), '0', ''} end
return {'', tostring(redis.call('PTTL', KEYS[1])), ''}`,
  args: ({ token, ttlMs }: TakeArgs) => [token, ttlMs],
  decode: decodeTake,
  twin: (keyspace, keys: HeldAndFence, args) => {
    const held = textAt(keyspace, keys[0]);
    if (held === undefined) return [take(keyspace, keys, args), '0', ''];
    if (tokenOf(held) === args.token) return [held.slice(TOKEN_LENGTH), '0', ''];
    return ['', String(keyspace.call('PTTL', keys[0])), ''];
  },
  idempotent: true,
});

type AllKeys = readonly [held: string, fence: string, queue: string, turn: string];

export interface TakeInOrderArgs extends TakeArgs {
  readonly ticket: string;
  readonly channel: string;
}

/**
 * Stands in line, and takes the lock when it is free and the first ticket is of this process. A process that
 * did not come when it was called has gone or sleeps: all its tickets go.
 */
export const takeInOrderScript = defineScript({
  name: 'lock.take-in-order',
  lua: `${TAKE}
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, ${TOKEN_LENGTH}) == ARGV[1] then
  return {string.sub(held, ${TOKEN_LENGTH + 1}), '0', ''}
end
if not redis.call('ZSCORE', KEYS[3], ARGV[3]) then
  local last = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  redis.call('ZADD', KEYS[3], tonumber(last[2] or '0') + 1, ARGV[3])
end
redis.call('PEXPIRE', KEYS[3], ${KEEP_QUEUE_MS})
if held then return {'', tostring(redis.call('PTTL', KEYS[1])), ''} end
local own = string.sub(ARGV[3], 1, ${OWNER_LENGTH})
local first = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
local owner = string.sub(first, 1, ${OWNER_LENGTH})
if owner ~= own and redis.call('GET', KEYS[4]) == first
  and ${KEEP_TURN_MS} - redis.call('PTTL', KEYS[4]) > ${TURN_MS} then
  for _, ticket in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    if string.sub(ticket, 1, ${OWNER_LENGTH}) == owner then redis.call('ZREM', KEYS[3], ticket) end
  end
  first = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
  owner = string.sub(first, 1, ${OWNER_LENGTH})
end
if owner ~= own then
  if redis.call('GET', KEYS[4]) ~= first then
    redis.call('SET', KEYS[4], first, 'PX', ${KEEP_TURN_MS})
    redis.call('PUBLISH', ARGV[4], owner)
  end
  return {'', '${TURN_MS}', ''}
end
redis.call('ZREM', KEYS[3], first)
return {take(ARGV[1], ARGV[2]), '0', first}`,
  args: ({ token, ttlMs, ticket, channel }: TakeInOrderArgs) => [token, ttlMs, ticket, channel],
  decode: decodeTake,
  twin: (keyspace, keys: AllKeys, args) => {
    const [heldKey, , queue] = keys;
    const held = textAt(keyspace, heldKey);
    if (held !== undefined && tokenOf(held) === args.token) return [held.slice(TOKEN_LENGTH), '0', ''];
    standInLine(keyspace, queue, args.ticket);
    if (held !== undefined) return ['', String(keyspace.call('PTTL', heldKey)), ''];
    const own = ownerOf(args.ticket);
    const first = firstInLine(keyspace, keys, own);
    if (ownerOf(first) === own) {
      keyspace.call('ZREM', queue, first);
      return [take(keyspace, [keys[0], keys[1]], args), '0', first];
    }
    if (textAt(keyspace, keys[3]) !== first) callUp(keyspace, keys[3], { first, channel: args.channel });
    return ['', String(TURN_MS), ''];
  },
  idempotent: true,
});

function standInLine(keyspace: ScriptKeyspace, queue: string, ticket: string): void {
  if (keyspace.call('ZSCORE', queue, ticket) === null) {
    const [, last] = replyItems(keyspace.call('ZREVRANGE', queue, 0, 0, 'WITHSCORES'));
    keyspace.call('ZADD', queue, Number(String(last ?? 0)) + 1, ticket);
  }
  keyspace.call('PEXPIRE', queue, KEEP_QUEUE_MS);
}

function firstInLine(keyspace: ScriptKeyspace, [, , queue, turn]: AllKeys, own: string): string {
  const first = headOf(keyspace, queue) ?? '';
  const missed =
    ownerOf(first) !== own &&
    textAt(keyspace, turn) === first &&
    KEEP_TURN_MS - Number(keyspace.call('PTTL', turn)) > TURN_MS;
  if (!missed) return first;
  for (const ticket of replyItems(keyspace.call('ZRANGE', queue, 0, -1)).map(String)) {
    if (ownerOf(ticket) === ownerOf(first)) keyspace.call('ZREM', queue, ticket);
  }
  return headOf(keyspace, queue) ?? '';
}

function callUp(keyspace: ScriptKeyspace, turn: string, to: { first: string; channel: string }): void {
  keyspace.call('SET', turn, to.first, 'PX', KEEP_TURN_MS);
  keyspace.call('PUBLISH', to.channel, ownerOf(to.first));
}

export interface RenewArgs {
  readonly token: string;
  readonly ttlMs: number;
}

export const renewScript = defineScript({
  name: 'lock.renew',
  lua: `
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, ${TOKEN_LENGTH}) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`,
  args: ({ token, ttlMs }: RenewArgs) => [token, ttlMs],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [held]: readonly [held: string], { token, ttlMs }) =>
    tokenOf(textAt(keyspace, held) ?? '') === token ? keyspace.call('PEXPIRE', held, ttlMs) : 0,
  idempotent: true,
});

export interface ReleaseArgs {
  readonly token: string;
  readonly channel: string;
}

/** Ends a hold that is still this one, and calls whoever is next. */
export const releaseScript = defineScript({
  name: 'lock.release',
  lua: `
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 1, ${TOKEN_LENGTH}) ~= ARGV[1] then
  if redis.call('HGET', KEYS[2], 'r') == ARGV[1] then return 1 end
  return 0
end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[2], 'r', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ${KEEP_FENCE_MS})
local first = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
if first then
  redis.call('SET', KEYS[4], first, 'PX', ${KEEP_TURN_MS})
  redis.call('PUBLISH', ARGV[2], string.sub(first, 1, ${OWNER_LENGTH}))
else redis.call('PUBLISH', ARGV[2], '') end
return 1`,
  args: ({ token, channel }: ReleaseArgs) => [token, channel],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [heldKey, fence, queue, turn]: AllKeys, { token, channel }) => {
    if (tokenOf(textAt(keyspace, heldKey) ?? '') !== token) {
      return String(keyspace.call('HGET', fence, 'r')) === token ? 1 : 0;
    }
    keyspace.call('UNLINK', heldKey);
    keyspace.call('HSET', fence, 'r', token);
    keyspace.call('PEXPIRE', fence, KEEP_FENCE_MS);
    const first = headOf(keyspace, queue);
    if (first === undefined) keyspace.call('PUBLISH', channel, '');
    else callUp(keyspace, turn, { first, channel });
    return 1;
  },
  idempotent: true,
});

export interface LeaveArgs {
  readonly ticket: string;
  readonly channel: string;
}

type HeldQueueTurn = readonly [held: string, queue: string, turn: string];

/** Gives a ticket back. If it was its turn, the next one is called. */
export const leaveScript = defineScript({
  name: 'lock.leave',
  lua: `
local left = redis.call('ZREM', KEYS[2], ARGV[1])
local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
if first and redis.call('EXISTS', KEYS[1]) == 0 and redis.call('GET', KEYS[3]) ~= first then
  redis.call('SET', KEYS[3], first, 'PX', ${KEEP_TURN_MS})
  redis.call('PUBLISH', ARGV[2], string.sub(first, 1, ${OWNER_LENGTH}))
end
return left`,
  args: ({ ticket, channel }: LeaveArgs) => [ticket, channel],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [held, queue, turn]: HeldQueueTurn, { ticket, channel }) => {
    const left = keyspace.call('ZREM', queue, ticket);
    const first = headOf(keyspace, queue);
    const free = keyspace.call('EXISTS', held) === 0;
    if (first !== undefined && free && textAt(keyspace, turn) !== first)
      callUp(keyspace, turn, { first, channel });
    return left;
  },
  idempotent: true,
});

function take(keyspace: ScriptKeyspace, [held, fence]: HeldAndFence, { token, ttlMs }: TakeArgs): string {
  const stored: unknown = keyspace.call('HGET', fence, 'n');
  const number = Buffer.isBuffer(stored) ? Number(stored.toString()) : 0;
  const last = Number.isFinite(number) ? number : 0;
  const text = String(Math.max(keyspace.timeMicros(), last + 1));
  keyspace.call('HSET', fence, 'n', text);
  keyspace.call('PEXPIRE', fence, KEEP_FENCE_MS);
  keyspace.call('SET', held, token + text, 'PX', ttlMs);
  return text;
}

function headOf(keyspace: ScriptKeyspace, queue: string): string | undefined {
  const [first] = replyItems(keyspace.call('ZRANGE', queue, 0, 0));
  return first === undefined ? undefined : String(first);
}

function textAt(keyspace: ScriptKeyspace, key: string): string | undefined {
  const found = keyspace.call('GET', key);
  return Buffer.isBuffer(found) ? found.toString('latin1') : undefined;
}

function tokenOf(held: string): string {
  return held.slice(0, TOKEN_LENGTH);
}

function ownerOf(ticket: string): string {
  return ticket.slice(0, OWNER_LENGTH);
}
