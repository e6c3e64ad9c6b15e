/**
 * What of a cache nobody can be answered with any more, and Redis would keep. Values that were stored for ever stay,
 * unless a tag or a flush has ended them; counters and hashes stay, as nothing in them tells their end.
 *
 * Clocks of tags are never removed here. One without an expiry, which no value that stays for ever names, gets one: as
 * long as the longest value lives, and longer than any load lasts. That is what an invalidation gives a clock,
 * so no load that an invalidation overtook can find it gone. A clock that such a value does name loses its expiry: it
 * may have been stored while this was looking elsewhere.
 */
import type { Codec } from '../codec/index.js';
import {
  defineScript,
  leftoverRule,
  leftoverScript,
  toVerdict,
  type CallOptions,
  type CleanupRule,
  type CleanupSight,
  type CleanupVerdict,
  type RedisClient,
} from '../connection/index.js';
import { CacheKeys } from './cache.keys.js';
import { sha1 } from './cache.scripts.js';
import { SHORTEST_TAG_LIFE_MS } from './fence.js';
import { MarkedNames } from './marked-names.js';
import { ShardedKeys } from './sharded/sharded.keys.js';
import { NO_CLOCK } from './tag-clocks.js';

type Single = readonly [key: string];

export interface SettleValueArgs {
  /** SHA-1 of the bytes that were judged; an address, not a protection. */
  readonly digest: string;
  /** Wall clock milliseconds; 0 for what is over already. */
  readonly endsAt: number;
  /** Also when it has an expiry. */
  readonly anyway: boolean;
  readonly dryRun: boolean;
}

/** Ends the value that was judged, if it still is that one; by the server's clock. */
export const settleValueScript = defineScript({
  name: 'cache.settle',
  lua: `
local left = redis.call('PTTL', KEYS[1])
if left == -2 or (left ~= -1 and ARGV[3] == '0') then return 0 end
local found = redis.pcall('GET', KEYS[1])
if type(found) ~= 'string' or redis.sha1hex(found) ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
if tonumber(ARGV[2]) <= tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) then
  if ARGV[4] == '0' then redis.call('UNLINK', KEYS[1]) end
  return 1
end
if left ~= -1 then return 0 end
if ARGV[4] == '0' then redis.call('PEXPIREAT', KEYS[1], ARGV[2]) end
return 2`,
  args: ({ digest, endsAt, anyway, dryRun }: SettleValueArgs) => [
    digest,
    endsAt,
    anyway ? 1 : 0,
    dryRun ? 1 : 0,
  ],
  decode: toVerdict,
  twin: (keyspace, [key]: Single, { digest, endsAt, anyway, dryRun }) => {
    const left = Number(keyspace.call('PTTL', key));
    if (left === -2 || (left !== -1 && !anyway)) return 0;
    if (String(keyspace.call('TYPE', key)) !== 'string') return 0;
    const found = keyspace.call('GET', key);
    if (!Buffer.isBuffer(found) || sha1(found) !== digest) return 0;
    if (endsAt <= Math.floor(keyspace.timeMicros() / 1_000)) {
      if (!dryRun) keyspace.call('UNLINK', key);
      return 1;
    }
    if (left !== -1) return 0;
    if (!dryRun) keyspace.call('PEXPIREAT', key, endsAt);
    return 2;
  },
});

export interface CacheCleanupParts {
  readonly namespace: string;
  readonly codec: Codec;
  readonly wallNow: () => number;
}

/** What was stored a moment ago may be stored again under tags that get their clocks only then. */
const SETTLED_AFTER_MS = 60_000;

/** Rules for one run: they remember what they have met. */
export function cacheCleanup(parts: CacheCleanupParts): readonly CleanupRule[] {
  const keys = new CacheKeys(parts.namespace, 'x');
  const met: Met = { longestMs: 0, immortalClocks: 0, unreadable: 0, named: new MarkedNames() };
  const values = new ValueJudge(parts, keys, met);
  const isEntry = (rest: string): boolean => /^[^:{}]+:\{[^{}]+\}$/u.test(rest);
  const isTag = (rest: string): boolean => /^(?!%flush:)[^{}]+\}$/u.test(rest);
  const clocks = { name: 'tag-clock', prefix: keys.tracked.clocks };
  const holdsClock = (key: string): boolean => isTag(key.slice(clocks.prefix.length));
  return [
    {
      name: 'value',
      prefix: keys.tracked.values,
      holds: (key) => isEntry(key.slice(keys.tracked.values.length)),
      judge: (key, sight) => values.judge(key, sight),
    },
    // It holds no load up and is no fence any more: whoever loads under it answers, and stores nothing.
    leftoverRule(
      { name: 'lease', prefix: keys.leases, holds: (key) => isEntry(key.slice(keys.leases.length)) },
      0,
    ),
    {
      ...clocks,
      holds: holdsClock,
      judge: (_key, { leftMs }) => {
        if (leftMs === -1) met.immortalClocks += 1;
        return 'kept';
      },
      afterwards: () => {
        if (met.unreadable > 0 || (met.immortalClocks === 0 && met.named.size === 0)) return undefined;
        return { ...clocks, holds: holdsClock, judge: (key, sight) => settleClock(key, sight, met) };
      },
    },
  ];
}

/** What a run has seen. */
interface Met {
  /** The longest time a value has left. */
  longestMs: number;
  immortalClocks: number;
  /** Values without an expiry whose tags can not be read here. */
  unreadable: number;
  /** The clocks that values without an expiry name. */
  readonly named: MarkedNames;
}

async function settleClock(
  key: string,
  { client, leftMs, dryRun, call }: CleanupSight,
  { named, longestMs }: Met,
): Promise<CleanupVerdict> {
  if (!named.has(key)) {
    if (leftMs !== -1) return 'kept';
    const graceMs = Math.max(SHORTEST_TAG_LIFE_MS, longestMs);
    return client.run(leftoverScript, [key], { graceMs, dryRun }, call);
  }
  if (leftMs >= 0 && !dryRun) await client.command('PERSIST', [key], call);
  return 'kept';
}

/** Copies that `FallbackCache` keeps in this process and could not answer with: over, or invalidated. */
export function copiesCleanup(parts: CacheCleanupParts): readonly CleanupRule[] {
  const keys = new CacheKeys(parts.namespace, 'x');
  const { values: prefix } = keys.tracked;
  const judge = new CopyJudge(parts, keys);
  return [
    {
      name: 'fallback',
      prefix,
      holds: (key) => /^[^:{}]+:\{[^{}]+\}$/u.test(key.slice(prefix.length)),
      judge: (key, sight) => judge.judge(key, sight),
    },
  ];
}

export interface GenerationCleanupParts {
  readonly namespace: string;
  /** The generation that counts on this shard. */
  readonly current: string;
  readonly wallNow: () => number;
}

/** Longer than a process may act by shards it knows of from before, and than clocks of processes differ. */
const RETIRED_AFTER_MS = 3_600_000;

/**
 * What a shard has kept from before it began anew: nobody reads it, and generations do not come back. Of one that is
 * younger than the one known here nothing is known, so it is left alone.
 */
export function generationCleanup({
  namespace,
  current,
  wallNow,
}: GenerationCleanupParts): readonly CleanupRule[] {
  const keys = new ShardedKeys(namespace);
  const since = keys.bornAt(current);
  if (since === undefined || since > wallNow() - RETIRED_AFTER_MS) return [];
  const isOver = (key: string): boolean => {
    const generation = keys.generationIn(key);
    return generation !== undefined && generation !== current && (keys.bornAt(generation) ?? since) < since;
  };
  return [
    {
      name: 'generation',
      prefix: keys.generations,
      holds: isOver,
      judge: (key, { client, dryRun, call }) => client.run(dropScript, [key], { dryRun }, call),
    },
  ];
}

/** What it is decided by stands in the name of the key, and can not change. */
export const dropScript = defineScript({
  name: 'cache.drop',
  lua: `
if ARGV[1] == '1' then return redis.call('EXISTS', KEYS[1]) end
return redis.call('UNLINK', KEYS[1])`,
  args: ({ dryRun }: { dryRun: boolean }) => [dryRun ? 1 : 0],
  decode: toVerdict,
  twin: (keyspace, [key]: Single, { dryRun }) => keyspace.call(dryRun ? 'EXISTS' : 'UNLINK', key),
  idempotent: true,
});

class ValueJudge {
  readonly #parts: CacheCleanupParts;
  readonly #keys: CacheKeys;
  readonly #met: Met;

  constructor(parts: CacheCleanupParts, keys: CacheKeys, met: Met) {
    this.#parts = parts;
    this.#keys = keys;
    this.#met = met;
  }

  async judge(key: string, { client, leftMs, dryRun, call }: CleanupSight): Promise<CleanupVerdict> {
    const { codec, namespace, wallNow } = this.#parts;
    this.#met.longestMs = Math.max(this.#met.longestMs, leftMs);
    if (leftMs !== -1) return 'kept';
    const bytes = await bytesAt(client, key, call);
    if (bytes === undefined || !codec.peek(bytes).ok) return this.#isOurs(bytes) ? this.#doubtful() : 'kept';
    const decoded = await codec.decode(bytes, { namespace, key });
    if (!decoded.ok) return this.#doubtful();
    const { entry } = decoded;
    const tagKeys = this.#keys.tags(entry.tags);
    const settle = (endsAt: number): Promise<CleanupVerdict> =>
      client.run(settleValueScript, [key], { digest: sha1(bytes), endsAt, anyway: false, dryRun }, call);
    if (entry.expiresAt !== undefined) {
      for (const each of tagKeys) this.#met.named.add(each);
      return settle(entry.expiresAt);
    }
    const [flush = NO_CLOCK, ...tags] = await clocksAt(client, [this.#keys.flushOf(key), ...tagKeys], call);
    const ended = flush > entry.clock || tags.some((clock) => clock === NO_CLOCK || clock > entry.clock);
    if (ended && entry.createdAt < wallNow() - SETTLED_AFTER_MS) return settle(0);
    for (const each of tagKeys) this.#met.named.add(each);
    return 'kept';
  }

  /** A value of another version, or under another codec: it may name tags. */
  #isOurs(bytes: Buffer | undefined): boolean {
    return bytes?.[0] === ENVELOPE;
  }

  #doubtful(): CleanupVerdict {
    this.#met.unreadable += 1;
    return 'kept';
  }
}

/** What all stored values begin with; counters do not. */
const ENVELOPE = 0xcb;

class CopyJudge {
  readonly #parts: CacheCleanupParts;
  readonly #keys: CacheKeys;

  constructor(parts: CacheCleanupParts, keys: CacheKeys) {
    this.#parts = parts;
    this.#keys = keys;
  }

  async judge(key: string, { client, dryRun, call }: CleanupSight): Promise<CleanupVerdict> {
    const { codec, namespace, wallNow } = this.#parts;
    const bytes = await bytesAt(client, key, call);
    const decoded = bytes === undefined ? undefined : await codec.decode(bytes, { namespace, key });
    if (bytes === undefined || decoded?.ok !== true) return 'kept';
    const { clock, expiresAt, tags } = decoded.entry;
    const clockKeys = [this.#keys.flushOf(key), ...this.#keys.tags(tags)];
    // A clock that is not here may be copied yet, and says nothing.
    const isEnded = (await clocksAt(client, clockKeys, call)).some((each) => each > clock);
    if (!isEnded && (expiresAt === undefined || expiresAt > wallNow())) return 'kept';
    return client.run(
      settleValueScript,
      [key],
      { digest: sha1(bytes), endsAt: 0, anyway: true, dryRun },
      call,
    );
  }
}

async function bytesAt(client: RedisClient, key: string, call: CallOptions): Promise<Buffer | undefined> {
  const found = await client.command<Buffer | null>('GET', [key], { ...call, reply: 'bytes', anyType: true });
  return found ?? undefined;
}

/** Asked for after the value they judge, so that none of them is older. */
async function clocksAt(client: RedisClient, keys: readonly string[], call: CallOptions): Promise<number[]> {
  const ask = (key: string): Promise<string | null> =>
    client.command<string | null>('GET', [key], { ...call, anyType: true });
  const clocks = (await Promise.all(keys.map(ask))).map((text) => (text === null ? NO_CLOCK : Number(text)));
  return clocks.map((clock) => (Number.isSafeInteger(clock) ? clock : NO_CLOCK));
}
