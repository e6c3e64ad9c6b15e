/** Writes that create a key and give it its expiry in one step: two commands would leave a key for ever. */
import { defineScript } from './script.js';

/** `INCRBY`, and an expiry if the key has none. The time to live is not renewed by later calls. */
export const incrementScript = defineScript({
  name: 'adapter.increment',
  lua: `
local value = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return value`,
  args: (args: { amount: number; ttlMs: number }) => [args.amount, args.ttlMs],
  decode: (reply) => Number(reply),
  twin: (keyspace, [key]: readonly [string], { amount, ttlMs }) => {
    const value = keyspace.call('INCRBY', key, amount);
    if (keyspace.call('PTTL', key) === -1) keyspace.call('PEXPIRE', key, ttlMs);
    return value;
  },
});

/** `HSET` of several fields, and an expiry if the key has none. */
export const hashSetScript = defineScript({
  name: 'adapter.hash-set',
  lua: `
local ttl = table.remove(ARGV, 1)
local added = 0
for i = 1, #ARGV, 2 do added = added + redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], ttl) end
return added`,
  args: (args: { fields: readonly string[]; ttlMs: number }) => [args.ttlMs, ...args.fields],
  decode: (reply) => Number(reply),
  twin: (keyspace, [key]: readonly [string], { fields, ttlMs }) => {
    const added = keyspace.call('HSET', key, ...fields);
    if (keyspace.call('PTTL', key) === -1) keyspace.call('PEXPIRE', key, ttlMs);
    return added;
  },
  idempotent: true,
});
