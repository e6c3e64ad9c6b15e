/** The steps of values, clocks and hashes. Those of the lease are in `lease.scripts.ts`. */
import { createHash } from 'node:crypto';
import { defineScript } from '../connection/index.js';
import { KEEP_FILLED_MS, STORED } from './loading/lease-record.js';

type Single = readonly [key: string];
type ValueAndLease = readonly [value: string, lease: string];

export interface PutArgs {
  readonly bytes: Buffer;
  /** 0 for no expiry. */
  readonly ttlMs: number;
  readonly channel: string;
}

/**
 * Stores a value, and whoever is loading it can no longer store theirs. Who waits for them, or is about to ask
 * for the lease after a miss, finds the mark of a value that has been stored, and reads again.
 */
export const putScript = defineScript({
  name: 'cache.put',
  lua: `
if ARGV[2] == '0' then redis.call('SET', KEYS[1], ARGV[1])
else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('SET', KEYS[2], '${STORED}', 'PX', ${KEEP_FILLED_MS})
  redis.call('PUBLISH', ARGV[3], '')
end
return 1`,
  args: ({ bytes, ttlMs, channel }: PutArgs) => [bytes, ttlMs, channel],
  decode: () => undefined,
  twin: (keyspace, [value, lease]: ValueAndLease, { bytes, ttlMs, channel }) => {
    keyspace.call('SET', value, bytes, ...(ttlMs === 0 ? [] : ['PX', ttlMs]));
    if (keyspace.call('EXISTS', lease) === 1) {
      keyspace.call('SET', lease, STORED, 'PX', KEEP_FILLED_MS);
      keyspace.call('PUBLISH', channel, '');
    }
    return 1;
  },
  idempotent: true,
});

/** Removes a value, and whoever is loading it can no longer store theirs. */
export const removeScript = defineScript({
  name: 'cache.remove',
  lua: `
local removed = redis.call('UNLINK', KEYS[1])
if redis.call('UNLINK', KEYS[2]) == 1 then redis.call('PUBLISH', ARGV[1], '') end
return removed`,
  args: ({ channel }: { channel: string }) => [channel],
  decode: (reply) => Number(reply),
  twin: (keyspace, [value, lease]: ValueAndLease, { channel }) => {
    const removed = keyspace.call('UNLINK', value);
    if (keyspace.call('UNLINK', lease) === 1) keyspace.call('PUBLISH', channel, '');
    return removed;
  },
  idempotent: true,
});

export interface SwapArgs {
  /** SHA-1 of the bytes that have to stand there; an address, not a protection. */
  readonly digest: string;
  readonly bytes: Buffer;
  readonly ttlMs: number;
}

/** Replaces a value by another form of itself, unless somebody was faster. */
export const swapScript = defineScript({
  name: 'cache.swap',
  lua: `
local found = redis.call('GET', KEYS[1])
if not found or redis.sha1hex(found) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`,
  args: ({ digest, bytes, ttlMs }: SwapArgs) => [digest, bytes, ttlMs],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace, [value]: Single, { digest, bytes, ttlMs }) => {
    const found = keyspace.call('GET', value);
    if (!Buffer.isBuffer(found) || sha1(found) !== digest) return 0;
    keyspace.call('SET', value, bytes, ...(ttlMs === 0 ? [] : ['PX', ttlMs]));
    return 1;
  },
});

export function sha1(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

/**
 * Moves the namespace's clock on. It counts in microseconds of the server's time where that is ahead, so that
 * a clock lost to an eviction, or set back by a failover, does not hand out a number twice. The time of another server
 * may be behind, so the caller says what it has seen.
 */
export const tickScript = defineScript({
  name: 'cache.tick',
  lua: `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') or 0, tonumber(ARGV[1]))
if last >= now then now = last + 1 end
local text = string.format('%.0f', now)
redis.call('SET', KEYS[1], text)
return text`,
  args: ({ floor }: { floor: number }) => [floor],
  decode: (reply) => Number(String(reply)),
  twin: (keyspace, [clock]: Single, { floor }) => {
    const last = Math.max(numberAt(keyspace.call('GET', clock), 0), floor);
    const text = String(Math.max(keyspace.timeMicros(), last + 1));
    keyspace.call('SET', clock, text);
    return Buffer.from(text);
  },
  idempotent: true,
});

function numberAt(reply: unknown, otherwise: number): number {
  const number = Buffer.isBuffer(reply) ? Number(reply.toString()) : Number.NaN;
  return Number.isFinite(number) ? number : otherwise;
}

export interface RaiseArgs {
  readonly clock: number;
  /** It stays at least that long; 0 for ever. */
  readonly ttlMs: number;
}

/** The clock of a tag becomes this one, unless it is greater already. */
export const raiseScript = defineScript({
  name: 'cache.raise',
  lua: `
local last = tonumber(redis.call('GET', KEYS[1]) or '-1') or -1
local left = redis.call('PTTL', KEYS[1])
local wanted = tonumber(ARGV[1])
local ttl = tonumber(ARGV[2])
if last < wanted then redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL') end
if ttl == 0 then redis.call('PERSIST', KEYS[1])
elseif left == -2 or (left >= 0 and left < ttl) then redis.call('PEXPIRE', KEYS[1], ttl) end
return redis.call('GET', KEYS[1])`,
  args: ({ clock, ttlMs }: RaiseArgs) => [clock, ttlMs],
  decode: (reply) => Number(String(reply)),
  twin: (keyspace, [tag]: Single, { clock, ttlMs }) => {
    const last = numberAt(keyspace.call('GET', tag), -1);
    const left = Number(keyspace.call('PTTL', tag));
    if (last < clock) keyspace.call('SET', tag, String(clock), 'KEEPTTL');
    if (ttlMs === 0) keyspace.call('PERSIST', tag);
    else if (left === -2 || (left >= 0 && left < ttlMs)) keyspace.call('PEXPIRE', tag, ttlMs);
    return keyspace.call('GET', tag);
  },
  idempotent: true,
});

export interface RegisterArgs {
  readonly clock: number;
  /** It stays at least that long; 0 for ever. */
  readonly ttlMs: number;
}

/** Gives a tag a clock when it has none, and lets it stay long enough. */
export const registerScript = defineScript({
  name: 'cache.register-tag',
  lua: `
local ttl = tonumber(ARGV[2])
if ttl == 0 then
  redis.call('SET', KEYS[1], ARGV[1], 'NX')
  redis.call('PERSIST', KEYS[1])
elseif not redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end
end
return redis.call('GET', KEYS[1])`,
  args: ({ clock, ttlMs }: RegisterArgs) => [clock, ttlMs],
  decode: (reply) => Number(String(reply)),
  twin: (keyspace, [tag]: Single, { clock, ttlMs }) => {
    if (ttlMs === 0) {
      keyspace.call('SET', tag, clock, 'NX');
      keyspace.call('PERSIST', tag);
    } else if (keyspace.call('SET', tag, clock, 'PX', ttlMs, 'NX') === null) {
      const left = Number(keyspace.call('PTTL', tag));
      if (left >= 0 && left < ttlMs) keyspace.call('PEXPIRE', tag, ttlMs);
    }
    return keyspace.call('GET', tag);
  },
  idempotent: true,
});

/** `HSET` of fields as bytes, and an expiry if the hash has none; 0 for none at all. */
export const hashPutScript = defineScript({
  name: 'cache.hash-put',
  lua: `
local ttl = table.remove(ARGV, 1)
local added = 0
for i = 1, #ARGV, 2 do added = added + redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if ttl ~= '0' and redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], ttl) end
return added`,
  args: ({ fields, ttlMs }: { fields: readonly (string | Buffer)[]; ttlMs: number }) => [ttlMs, ...fields],
  decode: (reply) => Number(reply),
  twin: (keyspace, [key]: Single, { fields, ttlMs }) => {
    const added = keyspace.call('HSET', key, ...fields);
    if (ttlMs !== 0 && keyspace.call('PTTL', key) === -1) keyspace.call('PEXPIRE', key, ttlMs);
    return added;
  },
  idempotent: true,
});
