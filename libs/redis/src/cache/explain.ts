/** Why a key answers as it does: for people, and for the console. */
import type { Key } from '../connection/index.js';
import type { CacheEngine } from './cache-engine.js';
import { readRecord, HELD } from './lease-record.js';
import { isCounter, type CacheEntry, type Tier } from './store.js';
import { NO_CLOCK } from './tag-clocks.js';
import { freshness, isCurrent } from './validity.js';

export type EntryState = 'fresh' | 'stale' | 'expired' | 'invalidated' | 'absent' | 'counter' | 'hash';

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
  const counter = isCounter(entry);
  return {
    key: full,
    ...judgement(entry, { flush, clocks, now }),
    tier,
    ageMs: counter ? undefined : now - entry.createdAt,
    ttlMs: entry.softExpiresAt === undefined ? undefined : entry.softExpiresAt - now,
    loadMs: entry.loadMs,
    negative: entry.negative,
    clock: counter ? undefined : entry.clock,
    flushClock,
    tags: entry.tags.map((tag, i) => explainTag(tag, clocks[i] ?? NO_CLOCK, entry.clock)),
    lease,
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
