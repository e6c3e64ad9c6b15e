/**
 * One named cache on one shard, as a store: in a move of slots it takes what it misses from the shard that owned
 * the slot before. It lies above the near cache, so that nothing is kept in memory that Redis can not announce
 * the end of.
 *
 * Everything taken is taken under a lease of the new owner that was acquired before the old owner was read, and
 * whoever invalidates does it at the old owner first: an invalidation that the read could not see ends the lease.
 */
import type { Codec } from '../../codec/index.js';
import { replyItems, type Arg, type RedisClient } from '../../connection/index.js';
import { sleep, type Clock } from '../../core/index.js';
import type { TierBase } from '../cache-engine.js';
import type { CacheKeys } from '../cache.keys.js';
import { Fence } from '../fence.js';
import { KEEP_FILLED_MS } from '../loading/lease-record.js';
import { Reader } from '../reader.js';
import { ShardUnavailableError } from './sharded.errors.js';
import { adoptScript } from './sharded.scripts.js';
import {
  isCounter,
  type CacheEntry,
  type Found,
  type Grant,
  type LeaseAsk,
  type Release,
  type Store,
  type StoreCall,
} from '../store.js';
import { SeenClock, type TagClocks } from '../tag-clocks.js';
import { Tokens } from '../loading/tokens.js';

/** What a tier has to know of the move, if there is one. */
export interface MoveWatch {
  /** Some slots are being taken over. A plain field, for every read looks at it. */
  readonly taking: boolean;
  /**
   * Who owned the slot of that key before, on the same named cache; undefined when there is nothing to be taken, and
   * `'away'` while nobody can say whether there is.
   */
  sourceOf(key: string): ShardTier | 'away' | undefined;
  /** Counts as under way in the present epoch until it has settled. */
  guard<T>(work: () => Promise<T>): Promise<T>;
}

export interface ShardTierParts {
  readonly base: TierBase;
  /** The near cache over the base, or the base. */
  readonly store: Store;
  readonly clocks: TagClocks;
  readonly client: RedisClient;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly watch: MoveWatch;
}

/** A hash or a counter on its way is taken again by the next who asks. */
const LEASE_MS = 2_000;
const PAUSE_MS = 3;
const ENSURE_MS = 2_000;
/** `PTTL` of a key that is not there. */
const GONE = -2;

export class ShardTier implements Store {
  readonly keys: CacheKeys;
  readonly #parts: ShardTierParts;
  readonly #inner: Store;
  readonly #watch: MoveWatch;
  readonly #fence: Fence;
  /** Straight from Redis: a copy in this process may be a moment behind. */
  readonly #reader: Reader;
  readonly #tokens = new Tokens();

  constructor(parts: ShardTierParts) {
    const { base, client, clocks } = parts;
    this.#parts = parts;
    this.#inner = parts.store;
    this.#watch = parts.watch;
    this.keys = base.keys;
    this.#fence = new Fence({
      client,
      keys: base.keys,
      seen: new SeenClock(),
      clocks: base.clocks,
      held: clocks,
    });
    this.#reader = new Reader(base.store, base.clocks, base.keys);
  }

  get(key: string, call?: StoreCall): Found | undefined | Promise<Found | undefined> {
    const found = this.#inner.get(key, call);
    if (!this.#watch.taking) return found;
    return this.#getOrTake(key, found, call);
  }

  held(key: string): Found | undefined {
    return this.#watch.taking ? undefined : this.#inner.held?.(key);
  }

  set(key: string, entry: CacheEntry, call?: StoreCall): Promise<void> {
    return this.#inner.set(key, entry, call);
  }

  remove(keys: readonly string[], call?: StoreCall): Promise<number> {
    return this.#inner.remove(keys, call);
  }

  update(key: string, change: (entry: CacheEntry) => CacheEntry, call?: StoreCall): Promise<boolean> {
    return this.#inner.update(key, change, call);
  }

  acquire(key: string, ask: LeaseAsk): Promise<Grant> {
    return this.#inner.acquire(key, ask);
  }

  renew(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.#inner.renew(key, token, leaseMs);
  }

  fill(key: string, entry: CacheEntry, token: string): Promise<boolean> {
    return this.#inner.fill(key, entry, token);
  }

  release(key: string, token: string, release: Release): Promise<boolean> {
    return this.#inner.release(key, token, release);
  }

  close(): void {
    this.#fence.close();
  }

  forget(holds: (key: string) => boolean): void {
    this.#inner.forget?.(holds);
  }

  /**
   * Whatever the old owner has under that key lies here when this has settled, and there no more: for counters
   * and hashes, which can not be in two places, and for what is about to be changed in place.
   * @returns whether there was something to take
   */
  async ensure(key: string): Promise<boolean> {
    const until = this.#parts.clock.now() + ENSURE_MS;
    while (this.#parts.clock.now() < until) {
      const source = this.#watch.sourceOf(key);
      if (source === undefined) return false;
      if (source === 'away') throw unknownThere();
      const theirs = source.#nameOf(key, this);
      const type = await source.#parts.client.command<string>('TYPE', [theirs]);
      if (type === 'none') return false;
      const taken = type === 'hash' ? await this.#takeHash(key, source) : await this.#takeText(key, source);
      if (taken) {
        await source.#inner.remove([theirs]);
        return true;
      }
      await sleep(PAUSE_MS, { clock: this.#parts.clock });
    }
    throw new ShardUnavailableError('a key could not be moved in time', { hint: 'it stays where it was' });
  }

  async #getOrTake(
    key: string,
    finding: Found | undefined | Promise<Found | undefined>,
    call: StoreCall | undefined,
  ): Promise<Found | undefined> {
    const found = await finding;
    if (found !== undefined) return found;
    return this.#watch.guard(async () => {
      const source = this.#watch.sourceOf(key);
      // It may have been brought here since the first look.
      if (source === undefined || source === 'away') return this.#inner.get(key, call);
      try {
        const taken = await this.#take(key, source);
        if (taken !== undefined && isCounter(taken.entry)) {
          await this.ensure(key);
          return await this.#inner.get(key, call);
        }
        return taken ?? (await this.#inner.get(key, call));
      } catch {
        // It is the new owner that counts; without the old one there is a miss.
        return undefined;
      }
    });
  }

  async #takeText(key: string, source: ShardTier): Promise<boolean> {
    const taken = await this.#take(key, source, true);
    if (taken === 'busy') return false;
    return taken !== undefined && isCounter(taken.entry) ? this.#takeCounter(key, source) : true;
  }

  /** A copy of the entry, judged by the clocks of the old owner and stamped with one of the new. */
  async #take(key: string, source: ShardTier): Promise<Found | undefined>;
  async #take(key: string, source: ShardTier, strict: true): Promise<Found | undefined | 'busy'>;
  async #take(key: string, source: ShardTier, strict = false): Promise<Found | undefined | 'busy'> {
    const { store } = this.#parts.base;
    const token = this.#tokens.next();
    const [grant, clock] = await Promise.all([this.#lease(key, token, strict), this.#fence.now()]);
    if (grant === 'filled') return this.#inner.get(key);
    const ours = grant === 'granted';
    if (strict && !ours) return 'busy';
    let stored = false;
    try {
      const { found, current } = await source.#reader.read(source.#nameOf(key, this));
      if (found === undefined || !current) return undefined;
      if (isCounter(found.entry)) return found;
      const here = strict ? await store.get(key) : undefined;
      if (here !== undefined) return here;
      const entry = { ...found.entry, clock };
      await this.#register(entry);
      if (ours) stored = await store.fill(key, entry, token);
      if (ours && !stored) return strict ? 'busy' : undefined;
      if (ours && !strict) this.#leave(key, source);
      return { ...found, entry };
    } finally {
      if (ours && !stored) await store.release(key, token, { outcome: 'gone' }).catch(() => false);
    }
  }

  /** Nobody waits for it, but the move does: later there may be something else under that key. */
  #leave(key: string, source: ShardTier): void {
    const leaving = this.#watch.guard(() => source.#inner.remove([source.#nameOf(key, this)]));
    leaving.catch(() => undefined);
  }

  async #register({ tags, clock, expiresAt }: CacheEntry): Promise<void> {
    if (tags.length === 0) return;
    const lifetimeMs = expiresAt === undefined ? 0 : Math.max(1, expiresAt - this.#parts.clock.wallNow());
    const tagKeys = this.keys.tags(tags);
    const unregistered = await this.#fence.unregistered(tagKeys, lifetimeMs);
    if (unregistered.length > 0) await this.#fence.register(unregistered, clock, lifetimeMs);
  }

  #takeCounter(key: string, source: ShardTier): Promise<boolean> {
    return this.#adopt(key, source, async (theirs) => {
      const text = await source.#parts.client.command<string | null>('GET', [theirs], { anyType: true });
      return text === null ? undefined : { content: [text], hash: false };
    });
  }

  /** A field is bound to its key and namespace, so it is written anew. */
  #takeHash(key: string, source: ShardTier): Promise<boolean> {
    return this.#adopt(key, source, async (theirs) => {
      const flat = replyItems(await source.#parts.client.command('HGETALL', [theirs], { reply: 'bytes' }));
      const content: Arg[] = [];
      for (let i = 0; i < flat.length; i += 2) {
        const [name, bytes] = [flat[i], flat[i + 1]];
        if (!Buffer.isBuffer(name) || !Buffer.isBuffer(bytes)) continue;
        const field = name.toString();
        const decoded = await source.#parts.codec.decode(bytes, source.#fieldContext(theirs, field));
        if (!decoded.ok) continue;
        content.push(field, await this.#parts.codec.encode(decoded.value, this.#fieldContext(key, field)));
      }
      return content.length === 0 ? undefined : { content, hash: true };
    });
  }

  async #adopt(
    key: string,
    source: ShardTier,
    read: (theirs: string) => Promise<{ content: readonly Arg[]; hash: boolean } | undefined>,
  ): Promise<boolean> {
    const { base, client } = this.#parts;
    const token = this.#tokens.next();
    if ((await this.#lease(key, token, true)) !== 'granted') return false;
    const theirs = source.#nameOf(key, this);
    const [found, ttlMs] = await Promise.all([
      read(theirs),
      source.#parts.client.command<number>('PTTL', [theirs]),
    ]);
    // Without an end a key has -1 for one; what ended between the two answers has -2, and 0 in its last millisecond.
    const isOver = ttlMs === 0 || ttlMs === GONE;
    if (found === undefined || isOver) {
      await base.store.release(key, token, { outcome: 'gone' });
      return true;
    }
    const lease = this.keys.lease(key);
    const channel = this.keys.wake(key);
    const args = { token, ...found, ttlMs: Math.max(0, ttlMs), keepMs: KEEP_FILLED_MS, channel };
    return client.run(adoptScript, [key, lease], args);
  }

  async #lease(key: string, token: string, despite: boolean): Promise<Grant['state']> {
    const { store } = this.#parts.base;
    const grant = await store.acquire(key, { token, leaseMs: LEASE_MS });
    if (grant.state !== 'filled' || !despite) return grant.state;
    return (await store.acquire(key, { token, leaseMs: LEASE_MS, despite: grant.token })).state;
  }

  #fieldContext(key: string, field: string): { namespace: string; key: string } {
    return { namespace: this.keys.namespace, key: `${key}\n${field}` };
  }

  /** The same key as it is called here. */
  #nameOf(key: string, other: ShardTier): string {
    return this.keys.valuePrefix + key.slice(other.keys.valuePrefix.length);
  }
}

/** To count on from nothing would give numbers again that the old owner has given. */
function unknownThere(): ShardUnavailableError {
  return new ShardUnavailableError('the shard that a key is moved from can not be asked for it', {
    hint: 'nothing was done; try again',
  });
}
