/**
 * The steps by which shards agree on one topology, and the one by which a key changes its shard. Each shard is an
 * acceptor of a compare-and-set register by Paxos: a hash with `p`, the greatest ballot promised, `b` and `v`, the
 * ballot and value accepted, and `c`, the ballot known to be agreed on.
 */
import {
  defineScript,
  replyItems,
  replyText,
  type Arg,
  type ScriptKeyspace,
} from '../../connection/index.js';
import { FILLED, HELD, writeRecord } from '../loading/lease-record.js';

type Record = readonly [record: string];
type RecordAndMembers = readonly [record: string, members: string];
type ValueAndLease = readonly [value: string, lease: string];

export interface Accepted {
  readonly ballot: string;
  readonly value: string;
}

export interface Promised {
  readonly ok: boolean;
  /** The greatest ballot this shard has promised. */
  readonly promised: string;
  readonly accepted: Accepted | undefined;
}

/** Bulk strings only: an empty one for what is not there. */
function field(keyspace: ScriptKeyspace, key: string, name: string): string {
  const found = keyspace.call('HGET', key, name);
  return Buffer.isBuffer(found) ? found.toString() : '';
}

function acceptedOf(ballot: string, value: string): Accepted | undefined {
  return ballot === '' ? undefined : { ballot, value };
}

export const prepareScript = defineScript({
  name: 'shards.prepare',
  lua: `
local promised = redis.call('HGET', KEYS[1], 'p') or ''
local ok = '0'
if promised <= ARGV[1] then
  redis.call('HSET', KEYS[1], 'p', ARGV[1])
  promised = ARGV[1]
  ok = '1'
end
return {ok, promised, redis.call('HGET', KEYS[1], 'b') or '', redis.call('HGET', KEYS[1], 'v') or ''}`,
  args: ({ ballot }: { ballot: string }) => [ballot],
  decode: (reply): Promised => {
    const [ok = '', promised = '', ballot = '', value = ''] = replyItems(reply).map(replyText);
    return { ok: ok === '1', promised, accepted: acceptedOf(ballot, value) };
  },
  twin: (keyspace, [record]: Record, { ballot }) => {
    const before = field(keyspace, record, 'p');
    const ok = before <= ballot;
    if (ok) keyspace.call('HSET', record, 'p', ballot);
    const rest = [field(keyspace, record, 'b'), field(keyspace, record, 'v')];
    return [ok ? '1' : '0', ok ? ballot : before, ...rest].map((text) => Buffer.from(text));
  },
  idempotent: true,
});

export const acceptScript = defineScript({
  name: 'shards.accept',
  lua: `
if (redis.call('HGET', KEYS[1], 'p') or '') > ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'p', ARGV[1], 'b', ARGV[1], 'v', ARGV[2])
return 1`,
  args: ({ ballot, value }: Accepted) => [ballot, value],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [record]: Record, { ballot, value }) => {
    if (field(keyspace, record, 'p') > ballot) return 0;
    keyspace.call('HSET', record, 'p', ballot, 'b', ballot, 'v', value);
    return 1;
  },
  idempotent: true,
});

/** What was accepted is agreed on: those who follow it are told. */
export const learnScript = defineScript({
  name: 'shards.learn',
  lua: `
if redis.call('HGET', KEYS[1], 'b') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'c', ARGV[1])
redis.call('PUBLISH', ARGV[2], '')
return 1`,
  args: ({ ballot, channel }: { ballot: string; channel: string }) => [ballot, channel],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [record]: Record, { ballot, channel }) => {
    if (field(keyspace, record, 'b') !== ballot) return 0;
    keyspace.call('HSET', record, 'c', ballot);
    keyspace.call('PUBLISH', channel, '');
    return 1;
  },
  idempotent: true,
});

export interface RenewArgs {
  readonly member: string;
  /** The epoch whose predecessors this member has nothing under way of any more. */
  readonly epoch: number;
  readonly leaseMs: number;
  /** What it follows; empty for nothing yet. */
  readonly ballot: string;
  /** Who is asked about; empty for nobody. */
  readonly driver: string;
}

export interface Renewed {
  /** Accepted here; undefined when this shard knows nothing. Its value is empty when it is the one asked with. */
  readonly accepted: Accepted | undefined;
  readonly agreed: boolean;
  readonly driverAlive: boolean;
}

export const renewMemberScript = defineScript({
  name: 'shards.renew',
  lua: `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local driver = redis.call('HGET', KEYS[2], ARGV[5]) or ''
local alive = '0'
local ends = string.match(driver, '^%d+ (%d+)$')
if ends and tonumber(ends) > now then alive = '1' end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now + tonumber(ARGV[3])))
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[3]) * 10 then redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[3]) * 10) end
local ballot = redis.call('HGET', KEYS[1], 'b') or ''
local value = ''
if ballot ~= ARGV[4] then value = redis.call('HGET', KEYS[1], 'v') or '' end
return {ballot, redis.call('HGET', KEYS[1], 'c') or '', value, alive}`,
  args: ({ member, epoch, leaseMs, ballot, driver }: RenewArgs) => [member, epoch, leaseMs, ballot, driver],
  decode: (reply): Renewed => {
    const [ballot = '', agreed = '', value = '', alive = ''] = replyItems(reply).map(replyText);
    const accepted = acceptedOf(ballot, value);
    return { accepted, agreed: accepted !== undefined && agreed === ballot, driverAlive: alive === '1' };
  },
  twin: (keyspace, [record, members]: RecordAndMembers, args) => {
    const now = Math.floor(keyspace.timeMicros() / 1_000);
    const [, ends = '0'] = field(keyspace, members, args.driver).split(' ');
    keyspace.call('HSET', members, args.member, `${args.epoch} ${now + args.leaseMs}`);
    if (Number(keyspace.call('PTTL', members)) < args.leaseMs * 10)
      keyspace.call('PEXPIRE', members, args.leaseMs * 10);
    const ballot = field(keyspace, record, 'b');
    const value = ballot === args.ballot ? '' : field(keyspace, record, 'v');
    const alive = Number(ends) > now ? '1' : '0';
    return [ballot, field(keyspace, record, 'c'), value, alive].map((text) => Buffer.from(text));
  },
  idempotent: true,
});

export interface MembersBehind {
  /** This shard has accepted that ballot, or a greater one: who asks it from now on is told. */
  readonly knows: boolean;
  readonly behind: readonly string[];
}

/** Who may still act by an older epoch; those whose lease has run out are forgotten. */
export const membersScript = defineScript({
  name: 'shards.members',
  lua: `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local result = {(redis.call('HGET', KEYS[1], 'b') or '') >= ARGV[1] and '1' or '0'}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local epoch, ends = string.match(all[i + 1], '^(%d+) (%d+)$')
  if not ends or tonumber(ends) <= now then redis.call('HDEL', KEYS[2], all[i])
  elseif tonumber(epoch) < tonumber(ARGV[2]) then result[#result + 1] = all[i] end
end
return result`,
  args: ({ ballot, epoch }: { ballot: string; epoch: number }) => [ballot, epoch],
  decode: (reply): MembersBehind => {
    const [knows, ...behind] = replyItems(reply).map(replyText);
    return { knows: knows === '1', behind };
  },
  twin: (keyspace, [record, members]: RecordAndMembers, { ballot, epoch }) => {
    const now = Math.floor(keyspace.timeMicros() / 1_000);
    const all = replyItems(keyspace.call('HGETALL', members)).map(replyText);
    const behind: string[] = [];
    for (let i = 0; i < all.length; i += 2) {
      const [member = '', standing = ''] = [all[i], all[i + 1]];
      const [its = '0', ends = '0'] = standing.split(' ');
      if (Number(ends) <= now) keyspace.call('HDEL', members, member);
      else if (Number(its) < epoch) behind.push(member);
    }
    const knows = field(keyspace, record, 'b') >= ballot ? '1' : '0';
    return [knows, ...behind].map((text) => Buffer.from(text));
  },
  idempotent: true,
});

export interface AdoptArgs {
  readonly token: string;
  /** One text for a counter; fields and values for a hash. */
  readonly content: readonly Arg[];
  readonly hash: boolean;
  /** 0 for no expiry. */
  readonly ttlMs: number;
  readonly keepMs: number;
  readonly channel: string;
}

/** Puts a counter or a hash where it belongs now, unless it is there, and while the lease is ours; and ends it. */
export const adoptScript = defineScript({
  name: 'shards.adopt',
  lua: `
if redis.call('GET', KEYS[2]) ~= '${HELD}' .. ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then
  if ARGV[2] == '1' then
    for i = 6, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
  else redis.call('SET', KEYS[1], ARGV[6]) end
  if ARGV[3] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
end
redis.call('SET', KEYS[2], '${FILLED}' .. ARGV[1], 'PX', ARGV[4])
redis.call('PUBLISH', ARGV[5], '')
return 1`,
  args: (args: AdoptArgs) => [
    args.token,
    args.hash ? 1 : 0,
    args.ttlMs,
    args.keepMs,
    args.channel,
    ...args.content,
  ],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [value, lease]: ValueAndLease, args) => {
    const held = keyspace.call('GET', lease);
    if (!Buffer.isBuffer(held) || held.toString('latin1') !== HELD + args.token) return 0;
    if (keyspace.call('EXISTS', value) === 0) {
      if (args.hash) keyspace.call('HSET', value, ...args.content);
      else keyspace.call('SET', value, args.content[0] ?? '');
      if (args.ttlMs !== 0) keyspace.call('PEXPIRE', value, args.ttlMs);
    }
    keyspace.call('SET', lease, writeRecord(FILLED, args.token), 'PX', args.keepMs);
    keyspace.call('PUBLISH', args.channel, '');
    return 1;
  },
});
