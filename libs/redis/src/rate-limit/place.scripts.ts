/** The life of held places after they were taken: renewed while their holders live, and given back. */
import { defineScript, replyItems } from '../connection/index.js';
import { GRACE_MS } from './concurrency.js';

type Single = readonly [places: string];

export interface RenewArgs {
  readonly holders: readonly string[];
  readonly holdMs: number;
}

/** Tells for each holder whether it still had its place; one that was given up for dead is not brought back. */
export const renewPlacesScript = defineScript({
  name: 'rate-limit.renew-places',
  lua: `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local hold = tonumber(ARGV[1])
local out = {}
for i = 2, #ARGV do
  local ends = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if ends and tonumber(ends) > now then
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + hold * 1000), ARGV[i])
    out[i - 1] = 1
  else
    out[i - 1] = 0
  end
end
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < hold + ${GRACE_MS} then redis.call('PEXPIRE', KEYS[1], hold + ${GRACE_MS}) end
return out`,
  args: ({ holders, holdMs }: RenewArgs) => [holdMs, ...holders],
  decode: (reply) => replyItems(reply).map((each) => Number(each) === 1),
  twin: (keyspace, [key]: Single, { holders, holdMs }) => {
    const now = keyspace.timeMicros();
    const kept = holders.map((holder) => {
      const ends = keyspace.call('ZSCORE', key, holder);
      if (ends === null || Number(String(ends)) <= now) return 0;
      keyspace.call('ZADD', key, now + holdMs * 1_000, holder);
      return 1;
    });
    const left = Number(keyspace.call('PTTL', key));
    const keep = holdMs + GRACE_MS;
    if (left >= 0 && left < keep) keyspace.call('PEXPIRE', key, keep);
    return kept;
  },
  idempotent: true,
});

/** `ZREM`, which is all there is to it; a script only so that it is known as a step of this capability. */
export const releasePlacesScript = defineScript({
  name: 'rate-limit.release-places',
  lua: `return redis.call('ZREM', KEYS[1], unpack(ARGV))`,
  args: ({ holders }: { holders: readonly string[] }) => holders,
  decode: (reply) => Number(reply),
  twin: (keyspace, [key]: Single, { holders }) => keyspace.call('ZREM', key, ...holders),
  idempotent: true,
});
