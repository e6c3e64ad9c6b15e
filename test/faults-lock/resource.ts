/** What a lock protects: it takes writes of the newest fence it has seen, and notes who wrote what. */
import { defineScript, type ScriptKeyspace } from '@anbar/nestjs-redis/connection';

type ResourceKeys = readonly [newest: string, log: string];

export const writeScript = defineScript({
  name: 'hunt.write',
  lua: `
local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) < newest then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('RPUSH', KEYS[2], ARGV[1] .. ' ' .. ARGV[2])
return 1`,
  args: ({ fence, by }: { fence: number; by: string }) => [String(fence), by],
  decode: (reply) => Number(reply) === 1,
  twin: (keyspace: ScriptKeyspace, [newest, log]: ResourceKeys, { fence, by }) => {
    if (fence < Number(String(keyspace.call('GET', newest) ?? 0))) return 0;
    keyspace.call('SET', newest, fence);
    keyspace.call('RPUSH', log, `${fence} ${by}`);
    return 1;
  },
});

export function resourceKeys(key: string): ResourceKeys {
  return [`{${key}}:newest`, `{${key}}:log`];
}

export interface Verdict {
  readonly writes: number;
  readonly fences: number;
  /** Fences that two holds have written with. */
  readonly shared: number;
  /** Writes that came after one with a newer fence. */
  readonly backwards: number;
}

export function judge(log: readonly string[]): Verdict {
  const writers = new Map<number, Set<string>>();
  let newest = 0;
  let backwards = 0;
  for (const line of log) {
    const [fence = '', by = ''] = line.split(' ');
    const number = Number(fence);
    if (number < newest) backwards += 1;
    newest = Math.max(newest, number);
    writers.set(number, (writers.get(number) ?? new Set()).add(by));
  }
  const shared = [...writers.values()].filter((set) => set.size > 1).length;
  return { writes: log.length, fences: writers.size, shared, backwards };
}
