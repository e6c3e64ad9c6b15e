/**
 * The steps of a lease. A load may store only while the lease is its own; `set` and `delete` end the lease of
 * whoever is loading, which is all the fence there is.
 *
 * Each of them may be run twice: after a lost answer the client repeats it and gets the same answer again.
 */
import { defineScript, replyItems, type ScriptKeyspace } from '../../connection/index.js';
import { FAILED, FILLED, HELD, NOTHING, readRecord, TOKEN_LENGTH, writeRecord } from './lease-record.js';

type Lease = readonly [lease: string];
type ValueAndLease = readonly [value: string, lease: string];

function bytesAt(keyspace: ScriptKeyspace, key: string): Buffer | undefined {
  const found = keyspace.call('GET', key);
  return Buffer.isBuffer(found) ? found : undefined;
}

function isHeldBy(held: Buffer | undefined, token: string): boolean {
  return held?.toString('latin1') === HELD + token;
}

export interface AcquireArgs {
  readonly token: string;
  readonly leaseMs: number;
  /** Empty for none, `'*'` for any. */
  readonly waitedFor: string;
  readonly despite: string;
  /** A failure that is to be kept for longer than this yet is so recent that the caller was waiting when it happened. */
  readonly failedSinceMs: number;
}

export interface Acquired {
  /** What stands in the way; undefined when the lease is ours. */
  readonly record: Buffer | undefined;
  readonly leftMs: number;
}

export const acquireScript = defineScript({
  name: 'cache.acquire',
  lua: `
local held = redis.call('GET', KEYS[1])
if held then
  local state = string.sub(held, 1, 1)
  local owner = string.sub(held, 2, ${TOKEN_LENGTH + 1})
  local stands = false
  if state == '${HELD}' then stands = owner ~= ARGV[1]
  elseif state == '${FILLED}' then stands = owner ~= ARGV[4]
  elseif state == '${FAILED}' then stands = owner == ARGV[3] or ARGV[3] == '*' or redis.call('PTTL', KEYS[1]) > tonumber(ARGV[5])
  elseif state == '${NOTHING}' then stands = owner == ARGV[3] end
  if stands then return {held, redis.call('PTTL', KEYS[1])} end
end
redis.call('SET', KEYS[1], '${HELD}' .. ARGV[1], 'PX', ARGV[2])
return {false, ARGV[2]}`,
  args: ({ token, leaseMs, waitedFor, despite, failedSinceMs }: AcquireArgs) => [
    token,
    leaseMs,
    waitedFor,
    despite,
    failedSinceMs,
  ],
  decode: (reply): Acquired => {
    const [record, left] = replyItems(reply);
    return { record: Buffer.isBuffer(record) ? record : undefined, leftMs: Number(left) };
  },
  twin: (keyspace, [lease]: Lease, args) => {
    const held = bytesAt(keyspace, lease);
    const left = keyspace.call('PTTL', lease);
    if (held !== undefined && standsInTheWay(held, Number(left), args)) return [held, left];
    keyspace.call('SET', lease, writeRecord(HELD, args.token), 'PX', args.leaseMs);
    return [null, String(args.leaseMs)];
  },
  idempotent: true,
});

function standsInTheWay(
  held: Buffer,
  leftMs: number,
  { token, waitedFor, despite, failedSinceMs }: AcquireArgs,
): boolean {
  const record = readRecord(held);
  if (record.state === HELD) return record.token !== token;
  if (record.state === FILLED) return record.token !== despite;
  if (record.state === FAILED) {
    return record.token === waitedFor || waitedFor === '*' || leftMs > failedSinceMs;
  }
  return record.state === NOTHING && record.token === waitedFor;
}

export const renewScript = defineScript({
  name: 'cache.renew',
  lua: `
if redis.call('GET', KEYS[1]) ~= '${HELD}' .. ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`,
  args: ({ token, leaseMs }: { token: string; leaseMs: number }) => [token, leaseMs],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [lease]: Lease, { token, leaseMs }) =>
    isHeldBy(bytesAt(keyspace, lease), token) ? keyspace.call('PEXPIRE', lease, leaseMs) : 0,
  idempotent: true,
});

export interface FillArgs {
  readonly token: string;
  readonly bytes: Buffer;
  /** 0 for no expiry. */
  readonly ttlMs: number;
  /** How long the record of the fill stays. */
  readonly keepMs: number;
  readonly channel: string;
}

export const fillScript = defineScript({
  name: 'cache.fill',
  lua: `
local held = redis.call('GET', KEYS[2])
if held == '${FILLED}' .. ARGV[1] then return 1 end
if held ~= '${HELD}' .. ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
redis.call('SET', KEYS[2], '${FILLED}' .. ARGV[1], 'PX', ARGV[4])
redis.call('PUBLISH', ARGV[5], '')
return 1`,
  args: (args: FillArgs) => [args.token, args.bytes, args.ttlMs, args.keepMs, args.channel],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [value, lease]: ValueAndLease, args) => {
    const held = bytesAt(keyspace, lease);
    if (held?.toString('latin1') === FILLED + args.token) return 1;
    if (!isHeldBy(held, args.token)) return 0;
    keyspace.call('SET', value, args.bytes, ...(args.ttlMs === 0 ? [] : ['PX', args.ttlMs]));
    keyspace.call('SET', lease, writeRecord(FILLED, args.token), 'PX', args.keepMs);
    keyspace.call('PUBLISH', args.channel, '');
    return 1;
  },
  idempotent: true,
});

export interface ReleaseArgs {
  readonly token: string;
  /** How the load ended, for those who waited for it; empty for nothing to tell. */
  readonly record: Buffer;
  readonly keepMs: number;
  readonly channel: string;
}

export const releaseScript = defineScript({
  name: 'cache.release',
  lua: `
local held = redis.call('GET', KEYS[1])
if held and ARGV[2] ~= '' and held == ARGV[2] then return 1 end
if held ~= '${HELD}' .. ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('UNLINK', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
redis.call('PUBLISH', ARGV[4], '')
return 1`,
  args: (args: ReleaseArgs) => [args.token, args.record, args.keepMs, args.channel],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [lease]: Lease, { token, record, keepMs, channel }) => {
    const held = bytesAt(keyspace, lease);
    if (record.length > 0 && held?.equals(record) === true) return 1;
    if (!isHeldBy(held, token)) return 0;
    if (record.length === 0) keyspace.call('UNLINK', lease);
    else keyspace.call('SET', lease, record, 'PX', keepMs);
    keyspace.call('PUBLISH', channel, '');
    return 1;
  },
  idempotent: true,
});
