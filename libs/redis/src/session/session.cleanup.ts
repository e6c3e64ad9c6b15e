/**
 * Sessions that lost their expiry, and indexes whose sessions are gone: evicted, or deleted by hand. What a user could
 * still use is never taken: a session gets back the end that its own fields tell.
 */
import {
  defineScript,
  leftoverRule,
  replyItems,
  replyText,
  toVerdict,
  type CleanupRule,
  type Reply,
  type ScriptKeyspace,
} from '../connection/index.js';
import { SessionKeys } from './session.keys.js';
import type { ResolvedSession } from './session.options.js';

interface Dry {
  readonly dryRun: boolean;
}

const NOW = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(n) return string.format('%.0f', n) end`;

/** A session counts until its idle time or its absolute end is over, and while its user's index names it. */
export const settleSessionScript = defineScript({
  name: 'session.settle',
  lua: `${NOW}
if redis.call('PTTL', KEYS[1]) ~= -1 then return 0 end
local s = redis.pcall('HMGET', KEYS[1], 'i', 'a', 't', 'x', 'r')
if s.err then return 0 end
local idle = tonumber(s[1] or '') or 0
local ends = (tonumber(s[3] or '') or 0) + idle
if s[5] then ends = idle > 0 and now + idle or 0 end
local absolute = tonumber(s[2] or '') or 0
if absolute > 0 and absolute < ends then ends = absolute end
if s[4] == '1' and type(redis.pcall('ZSCORE', KEYS[2], ARGV[1])) ~= 'string' then ends = 0 end
if ends <= now then
  if ARGV[2] == '0' then redis.call('UNLINK', KEYS[1]) end
  return 1
end
if ARGV[2] == '0' then redis.call('PEXPIREAT', KEYS[1], text(ends)) end
return 2`,
  args: ({ member, dryRun }: Dry & { member: string }) => [member, dryRun ? 1 : 0],
  decode: toVerdict,
  twin: (keyspace, [session, index]: readonly [session: string, index: string], { member, dryRun }) => {
    if (keyspace.call('PTTL', session) !== -1) return 0;
    const read = attempt(() => keyspace.call('HMGET', session, 'i', 'a', 't', 'x', 'r'));
    if (read === undefined) return 0;
    const [idle, absolute, used, owned, moved] = replyItems(read);
    const isListed = (): boolean => Buffer.isBuffer(attempt(() => keyspace.call('ZSCORE', index, member)));
    const now = Math.floor(keyspace.timeMicros() / 1_000);
    let ends = numberOf(used) + numberOf(idle);
    // One more id of a session lives with it; one that a rotation has replaced does not.
    if (Buffer.isBuffer(moved)) ends = numberOf(idle) > 0 ? now + numberOf(idle) : 0;
    if (numberOf(absolute) > 0) ends = Math.min(ends, numberOf(absolute));
    if (replyText(owned ?? null) === '1' && !isListed()) ends = 0;
    if (!dryRun && ends <= now) keyspace.call('UNLINK', session);
    if (!dryRun && ends > now) keyspace.call('PEXPIREAT', session, ends);
    return ends <= now ? 1 : 2;
  },
});

function numberOf(field: Reply | undefined): number {
  const number = Buffer.isBuffer(field) ? Number(field.toString()) : 0;
  return Number.isFinite(number) ? number : 0;
}

/** Undefined for a key of another type. */
function attempt(call: () => Reply): Reply | undefined {
  try {
    return call();
  } catch {
    return undefined;
  }
}

interface IndexArgs extends Dry {
  /** In the order of the sessions' keys. */
  readonly handles: readonly string[];
}

/** Takes sessions that are gone out of an index, and the index with the last of them. */
export const settleIndexScript = defineScript({
  name: 'session.settle-index',
  lua: `${NOW}
local gone = {}
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 and redis.call('ZSCORE', KEYS[1], ARGV[i]) then gone[#gone + 1] = ARGV[i] end
end
local count = redis.call('ZCARD', KEYS[1])
if count == 0 then return 0 end
if ARGV[1] == '0' and #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
if count == #gone then return 1 end
if redis.call('PTTL', KEYS[1]) ~= -1 then return 0 end
if ARGV[1] == '0' then
  local ends = tonumber(redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2])
  redis.call('PEXPIREAT', KEYS[1], text(math.max(ends, now + 1)))
end
return 2`,
  args: ({ handles, dryRun }: IndexArgs) => [dryRun ? 1 : 0, ...handles],
  decode: toVerdict,
  twin: (keyspace, [index = '', ...sessions]: readonly string[], { handles, dryRun }) => {
    const gone = handles.filter(
      (handle, i) =>
        keyspace.call('EXISTS', sessions[i] ?? '') === 0 && keyspace.call('ZSCORE', index, handle) !== null,
    );
    const count = Number(keyspace.call('ZCARD', index));
    if (count === 0) return 0;
    if (!dryRun && gone.length > 0) keyspace.call('ZREM', index, ...gone);
    if (count === gone.length) return 1;
    if (keyspace.call('PTTL', index) !== -1) return 0;
    if (!dryRun) keyspace.call('PEXPIREAT', index, lastOf(keyspace, index));
    return 2;
  },
});

function lastOf(keyspace: ScriptKeyspace, index: string): number {
  const [, score] = replyItems(keyspace.call('ZREVRANGE', index, 0, 0, 'WITHSCORES'));
  return Math.max(Number(String(score)), Math.floor(keyspace.timeMicros() / 1_000) + 1);
}

/** So many sessions of one user are looked at in a run, those first that end first. */
const MOST_SESSIONS = 1_000;

export function sessionCleanup(namespace: string, { idleMs }: ResolvedSession): readonly CleanupRule[] {
  const keys = new SessionKeys(namespace);
  const sessions = keys.session({ tag: '', handle: '' }).slice(0, -'}:'.length);
  const indexes = keys.index('').slice(0, -'}'.length);
  const { records } = keys;
  const refOf = (key: string): { tag: string; handle: string } | undefined => {
    const [, tag, handle] = /^([\w-]{16})\}:([\w-]{43})$/u.exec(key.slice(sessions.length)) ?? [];
    return tag === undefined || handle === undefined ? undefined : { tag, handle };
  };
  const tagOf = (key: string): string | undefined => /^([\w-]{16})\}$/u.exec(key.slice(indexes.length))?.[1];
  return [
    {
      name: 'session',
      prefix: sessions,
      holds: (key) => refOf(key) !== undefined,
      judge: (key, { client, leftMs, dryRun, call }) => {
        const ref = refOf(key);
        if (leftMs !== -1 || ref === undefined) return 'kept';
        const args = { member: ref.handle, dryRun };
        return client.run(settleSessionScript, [key, keys.index(ref.tag)], args, call);
      },
    },
    {
      name: 'session-index',
      prefix: indexes,
      holds: (key) => tagOf(key) !== undefined,
      judge: async (key, { client, dryRun, call }) => {
        const tag = tagOf(key) ?? '';
        const listed = await client.command('ZRANGE', [key, 0, MOST_SESSIONS - 1], call);
        const handles = replyItems(listed).map(replyText);
        const names = handles.map((handle) => keys.session({ tag, handle }));
        return client.run(settleIndexScript, [key, ...names], { handles, dryRun }, call);
      },
    },
    // What express-session keeps does not tell its end: whoever uses it renews it in that time.
    leftoverRule(
      {
        name: 'express-session',
        prefix: records,
        holds: (key) => /^[\w-]{43}$/u.test(key.slice(records.length)),
      },
      idleMs,
    ),
  ];
}
