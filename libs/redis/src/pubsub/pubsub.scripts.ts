/** The steps of the stream modes that have to be one. */
import { defineScript, replyItems, type Reply, type ScriptKeyspace } from '../connection/index.js';
import { toEntry, type StreamEntry } from './stream-entries.js';

export interface AppendArgs {
  readonly payload: Buffer;
  readonly maxLength: number;
  readonly retentionMs: number;
  /** Who reads the stream listens here. */
  readonly channel: string;
}

type StreamAndCount = readonly [stream: string, count: string];

/** Adds a message with its number, and rings. The numbers tell a reader how much was trimmed before it came. */
export const appendScript = defineScript({
  name: 'pubsub.append',
  lua: `
local number = redis.call('INCR', KEYS[2])
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'n', number, 'm', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PUBLISH', ARGV[4], '')
return id`,
  args: ({ payload, maxLength, retentionMs, channel }: AppendArgs) => [
    payload,
    maxLength,
    retentionMs,
    channel,
  ],
  decode: (reply) => String(reply),
  twin: (keyspace, [stream, count]: StreamAndCount, args) => {
    const number = Number(keyspace.call('INCR', count));
    const bound = ['MAXLEN', '~', args.maxLength] as const;
    const id = keyspace.call('XADD', stream, ...bound, '*', 'n', number, 'm', args.payload);
    keyspace.call('PEXPIRE', stream, args.retentionMs);
    keyspace.call('PEXPIRE', count, args.retentionMs);
    keyspace.call('PUBLISH', args.channel, '');
    return id;
  },
});

export interface JoinArgs {
  readonly group: string;
  /** Where a new group begins. */
  readonly from: string;
  readonly retentionMs: number;
}

/** Makes the group, and the stream, unless they are there. */
export const joinScript = defineScript({
  name: 'pubsub.join',
  lua: `
if redis.call('EXISTS', KEYS[1]) == 1 then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    if group[2] == ARGV[1] then return 0 end
  end
end
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1`,
  args: ({ group, from, retentionMs }: JoinArgs) => [group, from, retentionMs],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [stream]: readonly [stream: string], { group, from, retentionMs }) => {
    if (keyspace.call('EXISTS', stream) === 1) {
      const groups = replyItems(keyspace.call('XINFO', 'GROUPS', stream));
      if (groups.some((info) => String(replyItems(info)[1]) === group)) return 0;
    }
    keyspace.call('XGROUP', 'CREATE', stream, group, from, 'MKSTREAM');
    if (Number(keyspace.call('PTTL', stream)) < 0) keyspace.call('PEXPIRE', stream, retentionMs);
    return 1;
  },
  idempotent: true,
});

export interface ReclaimArgs {
  readonly group: string;
  readonly consumer: string;
  /** Handed out that long ago and not acknowledged. */
  readonly idleMs: number;
  readonly count: number;
  readonly maxDeliveries: number;
  readonly maxLength: number;
  readonly retentionMs: number;
}

export interface Reclaimed {
  readonly entries: readonly (StreamEntry & { readonly deliveries: number })[];
  /** How many became dead letters. */
  readonly buried: number;
  /** There may be more to take over. */
  readonly more: boolean;
}

type StreamAndDead = readonly [stream: string, dead: string];

/** Consumers that are gone and owe nothing are forgotten after so many times the idle time. */
const FORGET_AFTER = 20;

/**
 * Takes over what others were given and did not do; what was tried too often becomes a dead letter. A message that
 * was handed out before may be what its member died of: it comes alone, so that none is counted beside it.
 */
export const reclaimScript = defineScript({
  name: 'pubsub.reclaim',
  lua: `
local group, consumer, idle = ARGV[1], ARGV[2], ARGV[3]
local entries, buried, before = {}, 0, nil
local due = redis.call('XPENDING', KEYS[1], group, 'IDLE', idle, '-', '+', ARGV[4])
local more = #due >= tonumber(ARGV[4]) and 1 or 0
for _, pending in ipairs(due) do
  local id, deliveries = pending[1], pending[4]
  if before and (before > 0 or deliveries > 0) then
    more = 1
    break
  end
  if deliveries >= tonumber(ARGV[5]) then
    local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
    if entry then
      redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*', 'id', id, 'deliveries', deliveries, unpack(entry[2]))
      redis.call('PEXPIRE', KEYS[2], ARGV[7])
    end
    redis.call('XACK', KEYS[1], group, id)
    buried = buried + 1
  else
    local entry = redis.call('XCLAIM', KEYS[1], group, consumer, 0, id)[1]
    if entry then
      entries[#entries + 1] = {id, entry[2], deliveries + 1}
      before = deliveries
    else redis.call('XACK', KEYS[1], group, id) end
  end
end
for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], group)) do
  if info[2] ~= consumer and info[4] == 0 and info[6] > idle * ${FORGET_AFTER} then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], group, info[2])
  end
end
return {entries, buried, more}`,
  args: (args: ReclaimArgs) => [
    args.group,
    args.consumer,
    args.idleMs,
    args.count,
    args.maxDeliveries,
    args.maxLength,
    args.retentionMs,
  ],
  decode: (reply): Reclaimed => {
    const [entries, buried, more] = replyItems(reply);
    return {
      entries: handedOut(entries),
      buried: Number(buried),
      more: Number(more) === 1,
    };
  },
  twin: (keyspace, keys: StreamAndDead, args) => {
    const [stream] = keys;
    const entries: Reply[] = [];
    let buried = 0;
    let before: number | undefined;
    const range = ['IDLE', args.idleMs, '-', '+', args.count] as const;
    const due = replyItems(keyspace.call('XPENDING', stream, args.group, ...range));
    let more = due.length >= args.count ? 1 : 0;
    for (const item of due) {
      const [id = '', , , times] = replyItems(item);
      const deliveries = Number(times);
      if (before !== undefined && (before > 0 || deliveries > 0)) {
        more = 1;
        break;
      }
      if (deliveries >= args.maxDeliveries) {
        bury(keyspace, keys, { ...args, id: String(id), deliveries });
        buried += 1;
        continue;
      }
      const [entry] = replyItems(keyspace.call('XCLAIM', stream, args.group, args.consumer, 0, String(id)));
      const fields = replyItems(entry)[1];
      if (fields === undefined) {
        keyspace.call('XACK', stream, args.group, String(id));
        continue;
      }
      entries.push([id, fields, deliveries + 1]);
      before = deliveries;
    }
    forgetConsumers(keyspace, stream, args);
    return [entries, buried, more];
  },
});

function bury(
  keyspace: ScriptKeyspace,
  [stream, dead]: StreamAndDead,
  args: ReclaimArgs & { readonly id: string; readonly deliveries: number },
): void {
  const { id, deliveries } = args;
  const [entry] = replyItems(keyspace.call('XRANGE', stream, id, id));
  if (entry !== undefined) {
    const fields = replyItems(replyItems(entry)[1]) as readonly Buffer[];
    const bound = ['MAXLEN', '~', args.maxLength] as const;
    keyspace.call('XADD', dead, ...bound, '*', 'id', id, 'deliveries', deliveries, ...fields);
    keyspace.call('PEXPIRE', dead, args.retentionMs);
  }
  keyspace.call('XACK', stream, args.group, id);
}

function forgetConsumers(keyspace: ScriptKeyspace, stream: string, args: ReclaimArgs): void {
  for (const info of replyItems(keyspace.call('XINFO', 'CONSUMERS', stream, args.group))) {
    const [, name, , pending, , idle] = replyItems(info);
    const gone = Number(pending) === 0 && Number(idle) > args.idleMs * FORGET_AFTER;
    if (gone && String(name) !== args.consumer) {
      keyspace.call('XGROUP', 'DELCONSUMER', stream, args.group, String(name));
    }
  }
}

export interface KeepArgs {
  readonly group: string;
  readonly consumer: string;
  /** What the idle time becomes: 0 while they are worked on, long to hand them over at once. */
  readonly idleMs: number;
  /** They were never begun: the time they were handed out does not count. */
  readonly uncount?: boolean;
  readonly ids: readonly string[];
}

/**
 * Sets how long messages seem to lie there, as far as they are still this consumer's; answers which are not. Counts
 * back only what does not lie there that long already: a second run finds it done.
 */
export const keepScript = defineScript({
  name: 'pubsub.keep',
  lua: `
local gone = {}
for i = 5, #ARGV do
  local owned = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])[1]
  if not owned then gone[#gone + 1] = ARGV[i]
  else
    local count = owned[4]
    if ARGV[4] == '1' and owned[3] < tonumber(ARGV[3]) then count = math.max(0, count - 1) end
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'IDLE', ARGV[3], 'RETRYCOUNT', count, 'JUSTID')
  end
end
return gone`,
  args: ({ group, consumer, idleMs, uncount = false, ids }: KeepArgs) => [
    group,
    consumer,
    idleMs,
    uncount ? 1 : 0,
    ...ids,
  ],
  decode: (reply) => replyItems(reply).map(String),
  twin: (keyspace, [stream]: readonly [stream: string], { group, consumer, idleMs, uncount = false, ids }) =>
    ids.filter((id) => {
      const [owned] = replyItems(keyspace.call('XPENDING', stream, group, id, id, 1, consumer));
      if (owned === undefined) return true;
      const [, , idle, deliveries] = replyItems(owned).map(Number);
      const less = uncount && Number(idle) < idleMs ? 1 : 0;
      const count = Math.max(0, Number(deliveries) - less);
      const options = ['IDLE', idleMs, 'RETRYCOUNT', count, 'JUSTID'] as const;
      keyspace.call('XCLAIM', stream, group, consumer, 0, id, ...options);
      return false;
    }),
  idempotent: true,
});

export interface RecoverArgs {
  readonly group: string;
  readonly consumer: string;
  /** How many to look at. */
  readonly count: number;
  readonly known: readonly string[];
}

/** What a consumer was handed in an answer that was lost: all it owes but what it knows. None is counted again. */
export const recoverScript = defineScript({
  name: 'pubsub.recover',
  lua: `
local known, entries = {}, {}
for i = 4, #ARGV do known[ARGV[i]] = true end
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', ARGV[3], ARGV[2])) do
  local id, deliveries = pending[1], pending[4]
  if not known[id] then
    local entry = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', deliveries)[1]
    if entry then entries[#entries + 1] = {id, entry[2], deliveries}
    else redis.call('XACK', KEYS[1], ARGV[1], id) end
  end
end
return entries`,
  args: ({ group, consumer, count, known }: RecoverArgs) => [group, consumer, count, ...known],
  decode: handedOut,
  twin: (keyspace, [stream]: readonly [stream: string], { group, consumer, count, known }) => {
    const entries: Reply[] = [];
    for (const item of replyItems(keyspace.call('XPENDING', stream, group, '-', '+', count, consumer))) {
      const [id = '', , , deliveries] = replyItems(item);
      if (known.includes(String(id))) continue;
      const times = ['RETRYCOUNT', Number(deliveries)] as const;
      const [entry] = replyItems(keyspace.call('XCLAIM', stream, group, consumer, 0, String(id), ...times));
      const fields = replyItems(entry)[1];
      if (fields === undefined) keyspace.call('XACK', stream, group, String(id));
      else entries.push([id, fields, Number(deliveries)]);
    }
    return entries;
  },
  idempotent: true,
});

/** A list of `[id, fields, deliveries]`. */
function handedOut(reply: Reply | undefined): Reclaimed['entries'] {
  return replyItems(reply).map((item) => {
    const [id, fields, deliveries] = replyItems(item);
    return { ...toEntry(id, fields), deliveries: Number(deliveries) };
  });
}
