/** Keys of limits always expire. Of one that has lost its expiry its content tells until when it counts. */
import { defineScript, replyItems, toVerdict, type CleanupRule } from '../connection/index.js';
import { digits, isWrongType, LUA_PRELUDE, readText } from './algorithm.js';
import { GRACE_MS } from './concurrency.js';
import { RateLimitKeys } from './rate-limit.keys.js';

export interface SettleLimitArgs {
  /** As in the key: the algorithm, after a `p` where it is the mark of a penalty. */
  readonly code: string;
  readonly dryRun: boolean;
}

/**
 * Without an expiry a fixed window and a penalty count as over; the others count by the moments in them. How long
 * the windows of a sliding limit are does not stand in it: as window `i` has begun, none is longer than now / i.
 */
export const settleLimitScript = defineScript({
  name: 'rate-limit.settle',
  lua: `${LUA_PRELUDE}
if redis.call('PTTL', KEYS[1]) ~= -1 then return 0 end
local ends = 0
if ARGV[1] == 'g' then
  ends = ceil((digits(read(KEYS[1])) or 0) / 1000)
elseif ARGV[1] == 's' then
  local index = string.match(read(KEYS[1]), '^(%d+) %d+ %d+$')
  if index and #index <= 16 and tonumber(index) > 0 then ends = ms + ceil(2 * ms / tonumber(index)) end
elseif ARGV[1] == 'c' then
  local last = redis.pcall('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if last[2] then ends = ceil(tonumber(last[2]) / 1000) + ${GRACE_MS} end
end
if ends <= ms then
  if ARGV[2] == '0' then redis.call('UNLINK', KEYS[1]) end
  return 1
end
if ARGV[2] == '0' then redis.call('PEXPIREAT', KEYS[1], format('%.0f', ends)) end
return 2`,
  args: ({ code, dryRun }: SettleLimitArgs) => [code, dryRun ? 1 : 0],
  decode: toVerdict,
  twin: (keyspace, [key]: readonly [key: string], { code, dryRun }) => {
    if (keyspace.call('PTTL', key) !== -1) return 0;
    const ms = Math.floor(keyspace.timeMicros() / 1_000);
    let ends = 0;
    if (code === 'g') ends = Math.ceil((digits(readText(keyspace, key)) ?? 0) / 1_000);
    else if (code === 's') {
      const index = Number(/^(\d{1,16}) \d+ \d+$/u.exec(readText(keyspace, key))?.[1] ?? 0);
      if (index > 0) ends = ms + Math.ceil((2 * ms) / index);
    } else if (code === 'c') {
      const last = lastPlace(() => keyspace.call('ZREVRANGE', key, 0, 0, 'WITHSCORES'));
      if (last !== undefined) ends = Math.ceil(last / 1_000) + GRACE_MS;
    }
    if (!dryRun && ends <= ms) keyspace.call('UNLINK', key);
    if (!dryRun && ends > ms) keyspace.call('PEXPIREAT', key, ends);
    return ends <= ms ? 1 : 2;
  },
});

function lastPlace(read: () => Parameters<typeof replyItems>[0]): number | undefined {
  try {
    const [, score] = replyItems(read());
    return score === undefined ? undefined : Number(String(score));
  } catch (error) {
    if (isWrongType(error)) return undefined;
    throw error;
  }
}

export function rateLimitCleanup(namespace: string): readonly CleanupRule[] {
  const sample = 'g:{x}:y';
  const prefix = new RateLimitKeys(namespace).limit('x', { code: 'g', name: 'y' }).slice(0, -sample.length);
  const codeOf = (key: string): string | undefined =>
    /^(p?[gsfc]):\{[^{}]+\}:/u.exec(key.slice(prefix.length))?.[1];
  return [
    {
      name: 'limit',
      prefix,
      holds: (key) => codeOf(key) !== undefined,
      judge: (key, { client, leftMs, dryRun, call }) =>
        leftMs === -1
          ? client.run(settleLimitScript, [key], { code: codeOf(key) ?? '', dryRun }, call)
          : 'kept',
    },
  ];
}
