/**
 * The steps of a session. What belongs to a user counts only while it stands in the user's index: taking it out there is
 * what revokes it, whatever else fails. And nothing but `create` makes a session, so none comes back.
 *
 * Fields of the hash: `i` idle time, `a` absolute end (0 for none), `t` last use, `v` version, `w` token of the last write,
 * `x` 1 for one that belongs to a user; sealed by the codec: `m` what is known of the session, `d:<name>` its data. Times
 * are milliseconds of the server's clock.
 *
 * An id whose session lies elsewhere has `r`, where, and `i` if it is to live on with it. In one that was ended `r` is
 * empty, which leads nowhere in every version of this package; `n` names the session of the login that ended it.
 */
import {
  defineScript,
  replyItems,
  replyText,
  type Arg,
  type Reply,
  type ScriptKeyspace,
} from '../connection/index.js';

type SessionAndIndex = readonly [session: string, index: string];

const NOW = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(n) return string.format('%.0f', n) end
local function keep(ends, member, mode)
  redis.call('PEXPIREAT', KEYS[1], text(ends))
  if not member then return end
  if mode then redis.call('ZADD', KEYS[2], mode, text(ends), member)
  else redis.call('ZADD', KEYS[2], text(ends), member) end
  if redis.call('PTTL', KEYS[2]) < ends - now then redis.call('PEXPIREAT', KEYS[2], text(ends)) end
end
local function endOf(idle, absolute)
  local ends = now + tonumber(idle)
  if absolute ~= '0' and tonumber(absolute) < ends then ends = tonumber(absolute) end
  return ends
end`;

class Step {
  readonly now: number;

  constructor(
    readonly keyspace: ScriptKeyspace,
    readonly session: string,
    readonly index: string,
  ) {
    this.now = Math.floor(keyspace.timeMicros() / 1000);
  }

  text(name: string, key = this.session): string | undefined {
    const found = this.keyspace.call('HGET', key, name);
    return Buffer.isBuffer(found) ? found.toString() : undefined;
  }

  endOf(idle: number, absolute: number): number {
    return absolute === 0 ? this.now + idle : Math.min(this.now + idle, absolute);
  }

  /** Lets it live until then, and its index at least as long. */
  keep(ends: number, member?: string, mode: readonly string[] = []): void {
    this.keyspace.call('PEXPIREAT', this.session, ends);
    if (member === undefined) return;
    this.keyspace.call('ZADD', this.index, ...mode, ends, member);
    if (Number(this.keyspace.call('PTTL', this.index)) < ends - this.now) {
      this.keyspace.call('PEXPIREAT', this.index, ends);
    }
  }

  isListed(member: string): boolean {
    return this.keyspace.call('ZSCORE', this.index, member) !== null;
  }
}

export interface CreateArgs {
  readonly member: string;
  readonly idleMs: number;
  /** From now; 0 for none. */
  readonly absoluteMs: number;
  /** It belongs to a user. */
  readonly owned: boolean;
  /** 0 for no limit. */
  readonly max: number;
  readonly onTooMany: 'evict' | 'refuse';
  readonly fields: readonly Arg[];
}

/** What gave way to it; `'refused'` when nothing was made. */
export type Created = { readonly evicted: readonly string[] } | 'refused';

export const createScript = defineScript({
  name: 'session.create',
  lua: `${NOW}
local absolute = '0'
if ARGV[3] ~= '0' then absolute = text(now + tonumber(ARGV[3])) end
local evicted = {}
if ARGV[4] == '1' then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now))
  local max = tonumber(ARGV[5])
  if max > 0 and not redis.call('ZSCORE', KEYS[2], ARGV[1]) then
    local over = redis.call('ZCARD', KEYS[2]) - max + 1
    if over > 0 then
      if ARGV[6] == 'refuse' then return false end
      evicted = redis.call('ZRANGE', KEYS[2], 0, over - 1)
      redis.call('ZREMRANGEBYRANK', KEYS[2], 0, over - 1)
    end
  end
end
redis.call('HSET', KEYS[1], 'i', ARGV[2], 'a', absolute, 't', text(now), 'v', 1, 'x', ARGV[4], unpack(ARGV, 7))
keep(endOf(ARGV[2], absolute), ARGV[4] == '1' and ARGV[1])
return evicted`,
  args: ({ member, idleMs, absoluteMs, owned, max, onTooMany, fields }: CreateArgs) => [
    member,
    idleMs,
    absoluteMs,
    owned ? 1 : 0,
    max,
    onTooMany,
    ...fields,
  ],
  decode: (reply): Created => (reply === null ? 'refused' : { evicted: replyItems(reply).map(replyText) }),
  twin: (keyspace, [session, index]: SessionAndIndex, args) => {
    const step = new Step(keyspace, session, index);
    const absolute = args.absoluteMs === 0 ? 0 : step.now + args.absoluteMs;
    const evicted = args.owned ? makeRoom(step, args) : [];
    if (evicted === undefined) return null;
    keyspace.call(
      'HSET',
      session,
      'i',
      args.idleMs,
      'a',
      absolute,
      't',
      step.now,
      'v',
      1,
      'x',
      args.owned ? 1 : 0,
      ...args.fields,
    );
    step.keep(step.endOf(args.idleMs, absolute), args.owned ? args.member : undefined);
    return evicted;
  },
  idempotent: true,
});

/** Undefined when there is none and none is to be made. */
function makeRoom(
  { keyspace, index, now }: Step,
  { member, max, onTooMany }: CreateArgs,
): Buffer[] | undefined {
  keyspace.call('ZREMRANGEBYSCORE', index, '-inf', now);
  if (max === 0 || keyspace.call('ZSCORE', index, member) !== null) return [];
  const over = Number(keyspace.call('ZCARD', index)) - max + 1;
  if (over <= 0) return [];
  if (onTooMany === 'refuse') return undefined;
  const evicted = replyItems(keyspace.call('ZRANGE', index, 0, over - 1)).filter((each) =>
    Buffer.isBuffer(each),
  );
  keyspace.call('ZREM', index, ...evicted);
  return evicted;
}

export interface LoadArgs {
  readonly member: string;
  /** Its time begins anew when more than this share of it has passed, in thousandths. */
  readonly touchAfter: number;
}

export interface Loaded {
  readonly leftMs: number;
  /** None when what stands there is no session. */
  readonly fields: ReadonlyMap<string, Buffer>;
}

/** Names and values: more than a session can have, and less than Lua can return at once. */
const MOST_ITEMS = 4_000;

export const loadScript = defineScript({
  name: 'session.load',
  lua: `${NOW}
local found = redis.pcall('HGETALL', KEYS[1])
if found.err or #found > ${MOST_ITEMS} then return {0} end
if #found == 0 then return false end
local s = {}
for i = 1, #found, 2 do s[found[i]] = found[i + 1] end
if s.r then
  if s.i then redis.call('PEXPIRE', KEYS[1], s.i) end
  return {0, unpack(found)}
end
if not (s.v and tonumber(s.t or '') and tonumber(s.i or '') and tonumber(s.a or '')) then return {0} end
local member = s.x == '1' and ARGV[1]
if member and not redis.call('ZSCORE', KEYS[2], member) then
  redis.call('UNLINK', KEYS[1])
  return false
end
if (now - tonumber(s.t)) * 1000 > tonumber(s.i) * tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 't', text(now))
  keep(endOf(s.i, s.a), member, 'XX')
end
return {redis.call('PTTL', KEYS[1]), unpack(found)}`,
  args: ({ member, touchAfter }: LoadArgs) => [member, touchAfter],
  decode: (reply): Loaded | undefined => {
    if (reply === null) return undefined;
    const [left, ...pairs] = replyItems(reply);
    return { leftMs: Number(left), fields: fieldsOf(pairs) };
  },
  twin: (keyspace, [session, index]: SessionAndIndex, { member, touchAfter }) => {
    const read = attempt(() => keyspace.call('HGETALL', session));
    const found = read === undefined ? undefined : replyItems(read);
    if (found === undefined || found.length > MOST_ITEMS) return [0];
    if (found.length === 0) return null;
    const step = new Step(keyspace, session, index);
    const idleText = step.text('i');
    if (step.text('r') !== undefined) {
      if (idleText !== undefined) keyspace.call('PEXPIRE', session, idleText);
      return [0, ...found];
    }
    const numbers = [step.text('t'), idleText, step.text('a')];
    if (step.text('v') === undefined || !numbers.every(isNumber)) return [0];
    const owned = step.text('x') === '1';
    if (owned && !step.isListed(member)) {
      keyspace.call('UNLINK', session);
      return null;
    }
    const idle = Number(idleText);
    if ((step.now - Number(step.text('t'))) * 1000 > idle * touchAfter) {
      keyspace.call('HSET', session, 't', step.now);
      step.keep(step.endOf(idle, Number(step.text('a'))), owned ? member : undefined, ['XX']);
    }
    return [keyspace.call('PTTL', session), ...found];
  },
  idempotent: true,
});

/** Undefined for a key of another type. */
function attempt(call: () => Reply): Reply | undefined {
  try {
    return call();
  } catch {
    return undefined;
  }
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && text.trim() !== '' && Number.isFinite(Number(text));
}

function fieldsOf(pairs: readonly Reply[]): Map<string, Buffer> {
  const fields = new Map<string, Buffer>();
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const value = pairs[at + 1];
    if (Buffer.isBuffer(value)) fields.set(replyText(pairs[at]), value);
  }
  return fields;
}

export interface SaveArgs {
  readonly member: string;
  /** Names this write, so that it is not counted twice when it is repeated. */
  readonly token: string;
  /** The version it was read with; 0 for whatever it is now. */
  readonly version: number;
  readonly remove: readonly string[];
  readonly fields: readonly Arg[];
}

export type Saved =
  | { readonly state: 'saved'; readonly version: number; readonly leftMs: number }
  | { readonly state: 'conflict'; readonly version: number }
  | { readonly state: 'moved'; readonly to: string }
  | { readonly state: 'gone' };

export const saveScript = defineScript({
  name: 'session.save',
  lua: `${NOW}
local s = redis.call('HMGET', KEYS[1], 'v', 'r', 'x', 'w', 'i', 'a')
if s[2] then return {'moved', s[2]} end
if not s[1] then return {'gone'} end
local member = s[3] == '1' and ARGV[1]
if member and not redis.call('ZSCORE', KEYS[2], member) then
  redis.call('UNLINK', KEYS[1])
  return {'gone'}
end
if s[4] == ARGV[2] then return {'saved', s[1], redis.call('PTTL', KEYS[1])} end
if ARGV[3] ~= '0' and ARGV[3] ~= s[1] then return {'conflict', s[1]} end
local at = 5 + tonumber(ARGV[4])
if at > 5 then redis.call('HDEL', KEYS[1], unpack(ARGV, 5, at - 1)) end
local version = text(tonumber(s[1]) + 1)
redis.call('HSET', KEYS[1], 'v', version, 'w', ARGV[2], 't', text(now), unpack(ARGV, at))
keep(endOf(s[5], s[6]), member, 'XX')
return {'saved', version, redis.call('PTTL', KEYS[1])}`,
  args: ({ member, token, version, remove, fields }: SaveArgs) => [
    member,
    token,
    version,
    remove.length,
    ...remove,
    ...fields,
  ],
  decode: toSaved,
  twin: (keyspace, [session, index]: SessionAndIndex, { member, token, version, remove, fields }) => {
    const step = new Step(keyspace, session, index);
    const standing = standingOf(step, member, token);
    if (standing.reply !== undefined) return standing.reply;
    if (version !== 0 && String(version) !== standing.version) return words('conflict', standing.version);
    if (remove.length > 0) keyspace.call('HDEL', session, ...remove);
    const next = String(Number(standing.version) + 1);
    keyspace.call('HSET', session, 'v', next, 'w', token, 't', step.now, ...fields);
    const ends = step.endOf(Number(step.text('i')), Number(step.text('a')));
    step.keep(ends, step.text('x') === '1' ? member : undefined, ['XX']);
    return saved(step, next);
  },
  idempotent: true,
});

type Standing = { readonly reply: Reply } | { readonly reply?: never; readonly version: string };

/** What a write finds: an answer at once, or the version it may go on from. */
function standingOf(step: Step, member: string, token: string): Standing {
  const moved = step.text('r');
  if (moved !== undefined) return { reply: words('moved', moved) };
  const version = step.text('v');
  if (version === undefined) return { reply: words('gone') };
  if (step.text('x') === '1' && !step.isListed(member)) {
    step.keyspace.call('UNLINK', step.session);
    return { reply: words('gone') };
  }
  return step.text('w') === token ? { reply: saved(step, version) } : { version };
}

function words(...texts: readonly string[]): Reply {
  return texts.map((text) => Buffer.from(text));
}

function saved({ keyspace, session }: Step, version: string, key = session): Reply {
  return [...replyItems(words('saved', version)), keyspace.call('PTTL', key)];
}

function toSaved(reply: Reply): Saved {
  const items = replyItems(reply);
  const [state, detail] = items.map(replyText);
  if (state === 'moved') return { state, to: detail ?? '' };
  if (state === 'conflict') return { state, version: Number(detail) };
  if (state === 'saved') return { state, version: Number(detail), leftMs: Number(items[2]) };
  return { state: 'gone' };
}

export interface RotateArgs {
  readonly from: string;
  readonly to: string;
  readonly token: string;
  readonly version: number;
  /** How long the old id leads to the new one; 0 for not at all. */
  readonly graceMs: number;
  readonly fields: readonly Arg[];
}

type OldIndexNew = readonly [session: string, index: string, next: string];

/** The same session under another id, in one step; what its data is bound to changes, so it comes along anew. */
export const rotateScript = defineScript({
  name: 'session.rotate',
  lua: `${NOW}
local done = redis.call('HMGET', KEYS[3], 'w', 'v')
if done[1] == ARGV[3] then return {'saved', done[2], redis.call('PTTL', KEYS[3])} end
local s = redis.call('HMGET', KEYS[1], 'v', 'r', 'x', 'i', 'a')
if s[2] then return {'moved', s[2]} end
if not s[1] then return {'gone'} end
local owned = s[3] == '1'
if owned and not redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  redis.call('UNLINK', KEYS[1])
  return {'gone'}
end
if ARGV[4] ~= s[1] then return {'conflict', s[1]} end
local version = text(tonumber(s[1]) + 1)
local ends = endOf(s[4], s[5])
redis.call('HSET', KEYS[3], 'i', s[4], 'a', s[5], 'x', s[3], 't', text(now), 'v', version, 'w', ARGV[3], unpack(ARGV, 6))
redis.call('PEXPIREAT', KEYS[3], text(ends))
redis.call('UNLINK', KEYS[1])
if owned then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[2], text(ends), ARGV[2])
  if redis.call('PTTL', KEYS[2]) < ends - now then redis.call('PEXPIREAT', KEYS[2], text(ends)) end
end
if ARGV[5] ~= '0' then
  redis.call('HSET', KEYS[1], 'r', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return {'saved', version, redis.call('PTTL', KEYS[3])}`,
  args: ({ from, to, token, version, graceMs, fields }: RotateArgs) => [
    from,
    to,
    token,
    version,
    graceMs,
    ...fields,
  ],
  decode: toSaved,
  twin: (keyspace, [session, index, next]: OldIndexNew, args) => {
    const step = new Step(keyspace, session, index);
    if (step.text('w', next) === args.token) return saved(step, step.text('v', next) ?? '', next);
    const standing = standingOf(step, args.from, '');
    if (standing.reply !== undefined) return standing.reply;
    if (String(args.version) !== standing.version) return words('conflict', standing.version);
    const version = String(Number(standing.version) + 1);
    const [i = '', a = '', x = ''] = ['i', 'a', 'x'].map((name) => step.text(name));
    const ends = step.endOf(Number(i), Number(a));
    keyspace.call(
      'HSET',
      next,
      'i',
      i,
      'a',
      a,
      'x',
      x,
      't',
      step.now,
      'v',
      version,
      'w',
      args.token,
      ...args.fields,
    );
    keyspace.call('PEXPIREAT', next, ends);
    keyspace.call('UNLINK', session);
    if (x === '1') moveInIndex(step, args, ends);
    if (args.graceMs > 0) {
      keyspace.call('HSET', session, 'r', args.to);
      keyspace.call('PEXPIRE', session, args.graceMs);
    }
    return saved(step, version, next);
  },
  idempotent: true,
});

function moveInIndex({ keyspace, index, now }: Step, { from, to }: RotateArgs, ends: number): void {
  keyspace.call('ZREM', index, from);
  keyspace.call('ZADD', index, ends, to);
  if (Number(keyspace.call('PTTL', index)) < ends - now) keyspace.call('PEXPIREAT', index, ends);
}

export interface DestroyArgs {
  readonly member: string;
  /** For so long it is known that it was ended; 0 for not at all. */
  readonly graceMs: number;
  /** Handle of the session that a login has made in its place, which may be one for an id that nobody has; else empty. */
  readonly by: string;
}

export interface Destroyed {
  readonly was: boolean;
  /** It had another id already; the one under that is to be destroyed too. */
  readonly movedTo: string | undefined;
  /** Handle of the session of the login that has ended it before. */
  readonly by: string | undefined;
}

export const destroyScript = defineScript({
  name: 'session.destroy',
  lua: `
local s = redis.pcall('HMGET', KEYS[1], 'v', 'r', 'n')
if s.err then s = {} end
if s[3] then return {0, '', s[3]} end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('UNLINK', KEYS[1])
if ARGV[2] ~= '0' and (s[1] or s[2] or ARGV[3] ~= '') then
  redis.call('HSET', KEYS[1], 'r', '')
  if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'n', ARGV[3]) end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {s[1] and 1 or 0, s[2] or '', ''}`,
  args: ({ member, graceMs, by }: DestroyArgs) => [member, graceMs, by],
  decode: (reply): Destroyed => {
    const [was, movedTo, by] = replyItems(reply);
    return {
      was: Number(was) === 1,
      movedTo: replyText(movedTo) || undefined,
      by: replyText(by) || undefined,
    };
  },
  twin: (keyspace, [session, index]: SessionAndIndex, { member, graceMs, by }) => {
    const none = Buffer.alloc(0);
    const read = attempt(() => keyspace.call('HMGET', session, 'v', 'r', 'n'));
    const [version = null, movedTo = null, endedBy = null] = read === undefined ? [] : replyItems(read);
    if (endedBy !== null) return [0, none, endedBy];
    keyspace.call('ZREM', index, member);
    keyspace.call('UNLINK', session);
    if (graceMs !== 0 && (version !== null || movedTo !== null || by !== '')) {
      keyspace.call('HSET', session, 'r', '', ...(by === '' ? [] : ['n', by]));
      keyspace.call('PEXPIRE', session, graceMs);
    }
    return [version === null ? 0 : 1, movedTo ?? none, none];
  },
  idempotent: true,
});

/** One more id for a session; what lay under that id is ended. */
export const joinScript = defineScript({
  name: 'session.join',
  lua: `
local s = redis.call('HMGET', KEYS[3], 'v', 'x', 'i')
if not s[1] or (s[2] == '1' and not redis.call('ZSCORE', KEYS[2], ARGV[2])) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], 'r', ARGV[2], 'i', s[3])
redis.call('PEXPIRE', KEYS[1], s[3])
return 1`,
  args: ({ from, to }: { from: string; to: string }) => [from, to],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [next, index, session]: NextIndexSession, { from, to }) => {
    const step = new Step(keyspace, session, index);
    if (step.text('v') === undefined || (step.text('x') === '1' && !step.isListed(to))) return 0;
    const idle = step.text('i') ?? '';
    keyspace.call('ZREM', index, from);
    keyspace.call('UNLINK', next);
    keyspace.call('HSET', next, 'r', to, 'i', idle);
    keyspace.call('PEXPIRE', next, idle);
    return 1;
  },
  idempotent: true,
});

type NextIndexSession = readonly [next: string, index: string, session: string];

/** Empties the index of a user but for one, in one step: the moment at which all others are logged out. */
export const revokeAllScript = defineScript({
  name: 'session.revoke-all',
  lua: `
local kept = ARGV[1] ~= '' and redis.call('ZSCORE', KEYS[1], ARGV[1])
local members = redis.call('ZRANGE', KEYS[1], 0, -1)
local left = redis.call('PTTL', KEYS[1])
redis.call('UNLINK', KEYS[1])
if kept then
  redis.call('ZADD', KEYS[1], kept, ARGV[1])
  if left > 0 then redis.call('PEXPIRE', KEYS[1], left) end
end
return members`,
  args: ({ except }: { except: string }) => [except],
  decode: (reply) => replyItems(reply).map(replyText),
  twin: (keyspace, [index]: readonly [index: string], { except }) => {
    const kept = except === '' ? null : keyspace.call('ZSCORE', index, except);
    const members = keyspace.call('ZRANGE', index, 0, -1);
    const left = Number(keyspace.call('PTTL', index));
    keyspace.call('UNLINK', index);
    if (Buffer.isBuffer(kept)) {
      keyspace.call('ZADD', index, kept, except);
      if (left > 0) keyspace.call('PEXPIRE', index, left);
    }
    return members;
  },
  idempotent: true,
});
