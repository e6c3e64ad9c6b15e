/**
 * What a capability tells of keys of its own that nobody needs any more. The clean-up walks the keyspace and knows no
 * capability; each of them knows its keys, and hands in rules.
 */
import type { CallOptions, RedisClient } from './redis-client.js';
import type { Reply } from './reply.js';
import { defineScript } from './script.js';

/** `expiring`: it had lost its expiry, and got one again. */
export type CleanupVerdict = 'kept' | 'removed' | 'expiring';

const VERDICTS = ['kept', 'removed', 'expiring'] as const satisfies readonly CleanupVerdict[];

/** A key as the clean-up has met it. */
export interface CleanupSight {
  readonly client: RedisClient;
  /** Until it expires; -1 for never. It may have changed since. */
  readonly leftMs: number;
  /** Nothing is to be changed, only to be told what would be. */
  readonly dryRun: boolean;
  readonly call: CallOptions;
}

export interface CleanupRule {
  /** Names it in reports and metrics. */
  readonly name: string;
  /** All keys it judges begin like this. */
  readonly prefix: string;
  /** Whether a key that begins like this is one of this capability, form and all. */
  readonly holds: (key: string) => boolean;
  /**
   * What becomes of the key, and does it: in one step with a last look at what it was decided by, as the key may have
   * changed since.
   */
  readonly judge: (key: string, sight: CleanupSight) => CleanupVerdict | Promise<CleanupVerdict>;
  /** For what can be judged only when all keys have been met: another pass follows, with this rule. */
  readonly afterwards?: () => CleanupRule | undefined;
}

/** What a script says: 0, 1 or 2. */
export function toVerdict(reply: Reply): CleanupVerdict {
  return VERDICTS[Number(reply)] ?? 'kept';
}

export interface LeftoverArgs {
  /** It gets that long, so that whoever lives can renew it; 0 removes it. */
  readonly graceMs: number;
  readonly dryRun: boolean;
}

/** A key of a kind that always has an expiry, and has none. */
export const leftoverScript = defineScript({
  name: 'cleanup.leftover',
  lua: `
if redis.call('PTTL', KEYS[1]) ~= -1 then return 0 end
if ARGV[1] == '0' then
  if ARGV[2] == '0' then redis.call('UNLINK', KEYS[1]) end
  return 1
end
if ARGV[2] == '0' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 2`,
  args: ({ graceMs, dryRun }: LeftoverArgs) => [graceMs, dryRun ? 1 : 0],
  decode: toVerdict,
  twin: (keyspace, [key]: readonly [key: string], { graceMs, dryRun }) => {
    if (keyspace.call('PTTL', key) !== -1) return 0;
    if (!dryRun && graceMs === 0) keyspace.call('UNLINK', key);
    if (!dryRun && graceMs > 0) keyspace.call('PEXPIRE', key, graceMs);
    return graceMs === 0 ? 1 : 2;
  },
});

/** The rule for kinds of which nothing more is to be known than that they always have an expiry. */
export function leftoverRule(
  kind: Pick<CleanupRule, 'name' | 'prefix' | 'holds'>,
  graceMs: number,
): CleanupRule {
  return {
    ...kind,
    judge: (key, { client, leftMs, dryRun, call }) =>
      leftMs === -1 ? client.run(leftoverScript, [key], { graceMs, dryRun }, call) : 'kept',
  };
}
