/** Why a key answers as it does: for people, and for the console. */
import type { Key } from '../connection/index.js';
import type { CacheEngine } from './cache-engine.js';
import { lastKnown } from './l1/last-known.js';
import { readRecord, HELD } from './loading/lease-record.js';
import { isCounter, type CacheEntry, type Tier } from './store.js';
import { NO_CLOCK } from './tag-clocks.js';
import { freshness, isCurrent } from './validity.js';

export type EntryState =
  'fresh' | 'stale' | 'expired' | 'invalidated' | 'absent' | 'counter' | 'hash' | 'doubtful';

export interface TagExplanation {
  readonly tag: string;
  /** The number of its last invalidation; undefined when Redis has none, which invalidates the entry. */
  readonly clock: number | undefined;
  readonly valid: boolean;
}

export interface Explanation {
  /** As it stands in Redis. */
  readonly key: string;
  readonly state: EntryState;
  /** One sentence. */
  readonly why: string;
  readonly tier: Tier | undefined;
  /** Since it was stored. */
  readonly ageMs: number | undefined;
  /** Until it is stale. */
  readonly ttlMs: number | undefined;
  /** How long its loader took. */
  readonly loadMs: number | undefined;
  readonly negative: boolean;
  /** What it was stored under. */
  readonly clock: number | undefined;
  /** The number of the cache's last flush, if there was one. */
  readonly flushClock: number | undefined;
  readonly tags: readonly TagExplanation[];
  /** Who is loading it, and until when they have to renew. */
  readonly lease: { readonly holder: string; readonly leftMs: number } | undefined;
}

export async function explainKey(engine: CacheEngine, key: Key): Promise<Explanation> {
  const full = engine.keys.value(key);
  try {
    return await explainByRedis(engine, full);
  } catch (error) {
    const doubtful = explainByMemory(engine, full, error);
    if (doubtful === undefined) throw error;
    return doubtful;
  }
}

/** Redis does not answer: what a read is answered with then, if it is. */
function explainByMemory(engine: CacheEngine, full: string, error: unknown): Explanation | undefined {
  const { settings, keys, clocks } = engine;
  const known = lastKnown(engine, full, { error, withinMs: settings.staleOnErrorMs });
  if (known === undefined) return undefined;
  const { entry, doubtfulMs } = known;
  const [flush = NO_CLOCK, ...tags] = clocks.lastKnown?.([keys.flush, ...keys.tags(entry.tags)]) ?? [];
  const seconds = (doubtfulMs / 1_000).toFixed(1);
  return {
    ...describe(engine, { entry, flush, clocks: tags }),
    key: full,
    state: 'doubtful',
    why: `Redis does not answer, and this copy was right ${seconds} s ago: it is served as stale`,
    tier: 'l1',
    lease: undefined,
  };
}

async function explainByRedis(engine: CacheEngine, full: string): Promise<Explanation> {
  const [found, [flush = NO_CLOCK], lease] = await Promise.all([
    engine.store.get(full),
    engine.clocks.read([engine.keys.flush]),
    leaseOf(engine, full),
  ]);
  const nothing = {
    tier: undefined,
    ageMs: undefined,
    ttlMs: undefined,
    loadMs: undefined,
    clock: undefined,
  };
  const flushClock = flush === NO_CLOCK ? undefined : flush;
  if (found === undefined) {
    const hash = await engine.structures.isHash(full);
    const why = hash ? 'it is a hash: read it with hget' : 'nothing that can be read is stored under it';
    const state = hash ? 'hash' : 'absent';
    return { key: full, state, why, ...nothing, negative: false, flushClock, tags: [], lease };
  }
  const { entry, tier } = found;
  const clocks = await engine.clocks.read(entry.tags.map((tag) => engine.keys.tag(tag)));
  const now = engine.clock.wallNow();
  return {
    ...describe(engine, { entry, flush, clocks }),
    key: full,
    ...judgement(entry, { flush, clocks, now }),
    tier,
    lease,
  };
}

type Description = Omit<Explanation, 'key' | 'state' | 'why' | 'tier' | 'lease'>;

function describe(
  { clock }: CacheEngine,
  { entry, flush, clocks }: { entry: CacheEntry; flush: number; clocks: readonly number[] },
): Description {
  const now = clock.wallNow();
  const counter = isCounter(entry);
  return {
    ageMs: counter ? undefined : now - entry.createdAt,
    ttlMs: entry.softExpiresAt === undefined ? undefined : entry.softExpiresAt - now,
    loadMs: entry.loadMs,
    negative: entry.negative,
    clock: counter ? undefined : entry.clock,
    flushClock: flush === NO_CLOCK ? undefined : flush,
    tags: entry.tags.map((tag, i) => explainTag(tag, clocks[i] ?? NO_CLOCK, entry.clock)),
  };
}

function judgement(
  entry: CacheEntry,
  { flush, clocks, now }: { flush: number; clocks: readonly number[]; now: number },
): { state: EntryState; why: string } {
  if (isCounter(entry)) return { state: 'counter', why: 'it is a counter: incr changes it' };
  if (flush > entry.clock) return { state: 'invalidated', why: 'the cache was flushed after it was loaded' };
  if (!isCurrent(entry, { flush, tags: clocks })) {
    const at = clocks.findIndex((clock) => clock === NO_CLOCK || clock > entry.clock);
    const tag = entry.tags[at] ?? '';
    const lost = clocks[at] === NO_CLOCK;
    const why = lost
      ? `Redis has lost the clock of tag '${tag}'`
      : `tag '${tag}' was invalidated after it was loaded`;
    return { state: 'invalidated', why };
  }
  const state = freshness(entry, now);
  if (state === 'fresh') return { state, why: 'it is within its ttl and nothing of it was invalidated' };
  if (state === 'stale')
    return { state, why: 'its ttl has passed; it may still be served when loading fails' };
  return { state, why: 'its ttl has passed, and the time it may be served after that too' };
}

function explainTag(tag: string, clock: number, entryClock: number): TagExplanation {
  const known = clock !== NO_CLOCK;
  return { tag, clock: known ? clock : undefined, valid: known && clock <= entryClock };
}

async function leaseOf(engine: CacheEngine, full: string): Promise<Explanation['lease']> {
  const lease = engine.keys.lease(full);
  const [bytes, leftMs] = await Promise.all([
    engine.client.command<Buffer | null>('GET', [lease], { reply: 'bytes', anyType: true }),
    engine.client.command<number>('PTTL', [lease]),
  ]);
  if (bytes === null) return undefined;
  const { state, token } = readRecord(bytes);
  return state === HELD ? { holder: token, leftMs } : undefined;
}
