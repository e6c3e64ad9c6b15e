/**
 * The near cache's memory: least recently used, bounded by entries and by bytes, each entry with an end of its
 * own. It only ever holds what was read from Redis after any invalidation it has heard of.
 *
 * A process does not keep what it has itself just written either. In broadcast mode a server announces a key
 * once for all that happened to it in one turn of its loop, so the announcement of one's own write may stand
 * for a later one of somebody else, and counting "my own echoes" would then keep an old value for good.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../core/index.js';
import { isAnnouncedByName } from './announced-names.js';
import { EpochTable } from './l1-epochs.js';
import { copyOf, freezeDeep, isCopyable, type Handout } from './l1-isolation.js';
import type { ResolvedL1 } from './l1.options.js';
import type { LastKnown } from '../store.js';

/** What the engine keeps per key; only `value` reaches users. */
export interface Holdable {
  readonly value: unknown;
}

export interface FillOptions {
  /** What `begin()` gave before the read was sent. */
  readonly since: number;
  /** Size as it lies in Redis. */
  readonly bytes: number;
  /** How long the entry may still be served. */
  readonly ttlMs: number;
}

export interface MemoryStats {
  readonly entries: number;
  /** Copies of which nobody can say whether they still hold: kept for when Redis does not answer. */
  readonly doubtful: number;
  /** Of both. */
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  /** Removed to make room. */
  readonly evictions: number;
  readonly invalidations: number;
  /** Values not kept because the key was invalidated while they were on their way. */
  readonly lateFills: number;
  /** Values not kept because they can neither be protected nor copied. */
  readonly unfit: number;
}

/** What of it falls to one cache. */
export interface MemoryTally {
  readonly entries: number;
  readonly bytes: number;
}

interface Held<E> {
  readonly entry: E;
  readonly copied: boolean;
  /** Monotonic. */
  readonly endsAt: number;
  /** Monotonic: made anew at that time, while nothing could be followed. */
  readonly remadeAt?: number;
}

/** What an entry costs beside its data, by measurement rounded up. */
const OVERHEAD_BYTES = 160;
const MOST_TALLIED = 10_000;

export class MemoryStore<E extends Holdable> {
  readonly #options: ResolvedL1;
  readonly #clock: Clock;
  readonly #entries: LRUCache<string, Held<E>>;
  readonly #epochs = new EpochTable();
  /** Of doubtful copies, when they may be loaded anew; no key is new here, so it is bounded as the copies are. */
  readonly #tries = new Map<string, number>();
  /** Since when changes can not be followed; all that is held is in doubt then. */
  #doubtfulSince: number | undefined;
  /** The longest an entry is kept. */
  #lifeMs: number;
  #hits = 0;
  #misses = 0;
  #evictions = 0;
  #invalidations = 0;
  #lateFills = 0;
  #unfit = 0;

  constructor(options: ResolvedL1, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#lifeMs = options.ttlMs;
    this.#entries = new LRUCache({
      max: options.maxEntries,
      maxSize: options.maxBytes,
      dispose: (_held, _key, reason) => {
        if (reason === 'evict') this.#evictions += 1;
      },
    });
  }

  get(key: string): E | undefined {
    const held = this.#entries.get(key);
    if (held === undefined || held.endsAt <= this.#clock.now()) {
      this.#misses += 1;
      if (held !== undefined) this.#entries.delete(key);
      return undefined;
    }
    this.#hits += 1;
    return handOut(held);
  }

  /** As `get`, for those who ask once more when there is nothing: they are counted then. */
  held(key: string): E | undefined {
    return this.#entries.has(key) ? this.get(key) : undefined;
  }

  /** For what is kept from now on: never longer than that, nor than `ttl`. */
  limitLife(ms: number): void {
    this.#lifeMs = Math.min(ms, this.#options.ttlMs);
  }

  /** To be called before a read is sent; `fill` takes the answer only if the key stayed as it was since. */
  begin(): number {
    return this.#epochs.now();
  }

  /**
   * Keeps an entry that was read from Redis and belongs to nobody else, if it may be kept.
   * @returns what to hand to whoever read it, who must not be able to change what is kept either
   */
  fill(key: string, entry: E, { since, bytes, ttlMs }: FillOptions): E {
    const lifeMs = Math.min(ttlMs, this.#lifeMs);
    if (!(lifeMs > 0) || !isAnnouncedByName(key)) return entry;
    if (!this.#epochs.unchangedSince(since, key)) {
      this.#lateFills += 1;
      return entry;
    }
    const handout = this.#protect(entry.value);
    if (handout === 'unfit') {
      this.#unfit += 1;
      return entry;
    }
    const held = { entry, copied: handout === 'copy', endsAt: this.#clock.now() + lifeMs };
    this.#entries.set(key, held, { size: bytes + key.length + OVERHEAD_BYTES });
    return handOut(held);
  }

  invalidate(key: string): void {
    this.#epochs.invalidate(key);
    if (this.#entries.delete(key)) this.#invalidations += 1;
  }

  invalidateAll(): void {
    this.#epochs.invalidateAll();
    this.#invalidations += this.#entries.size;
    this.#entries.clear();
    this.#tries.clear();
    this.#doubtfulSince = undefined;
  }

  /** For what goes in one stroke and by no list of names. */
  invalidateWhere(holds: (key: string) => boolean): void {
    this.#epochs.invalidateAll();
    for (const key of [...this.#entries.keys()]) if (holds(key)) this.invalidate(key);
  }

  // -- in doubt ---------------------------------------------------------------------------------------------

  /**
   * Changes can no longer be followed. What is held may be out of date from now on; it is kept until
   * `invalidateAll`, and handed out by `lastKnown` alone.
   */
  doubt(): void {
    this.#epochs.invalidateAll();
    this.#doubtfulSince ??= this.#clock.now();
  }

  /** Whether there is anything in doubt. */
  get doubtful(): boolean {
    return this.#doubtfulSince !== undefined && this.#entries.size > 0;
  }

  /** For those whom Redis does not answer. */
  lastKnown(key: string): LastKnown<E> | undefined {
    const since = this.#doubtfulSince;
    const held = since === undefined ? undefined : this.#entries.get(key);
    if (held === undefined || since === undefined) return undefined;
    if (held.endsAt <= since && held.remadeAt === undefined) {
      this.#entries.delete(key);
      return undefined;
    }
    const doubtfulMs = this.#clock.now() - (held.remadeAt ?? since);
    return { entry: handOut(held), doubtfulMs, claim: (pauseMs) => this.#claim(key, pauseMs) };
  }

  /**
   * Redis has answered while nothing can be followed: that is newer than a copy in doubt, and replaces it.
   * @returns what to hand to whoever asked, as `fill` does
   */
  answered(key: string, entry: E | undefined, { since, bytes }: Omit<FillOptions, 'ttlMs'>): E | undefined {
    if (this.#doubtfulSince === undefined || !this.#entries.has(key)) return entry;
    if (!this.#epochs.unchangedSince(since, key)) return entry;
    const handout = entry === undefined ? 'unfit' : this.#protect(entry.value);
    if (entry === undefined || handout === 'unfit') {
      this.invalidate(key);
      return entry;
    }
    return this.#remake(key, { entry, copied: handout === 'copy' }, bytes + key.length + OVERHEAD_BYTES);
  }

  /**
   * Replaces a copy in doubt by what was loaded past Redis. To be asked for before the load begins: what is
   * invalidated meanwhile is not brought back.
   */
  remaker(key: string): ((entry: E) => void) | undefined {
    if (this.#doubtfulSince === undefined || !this.#entries.has(key)) return undefined;
    const since = this.#epochs.now();
    return (entry) => {
      const size = this.#entries.info(key)?.size;
      if (size === undefined || !this.#epochs.unchangedSince(since, key)) return;
      const own = this.#ownCopy(entry.value);
      if (own === undefined) return;
      this.#remake(key, { entry: { ...entry, value: own.value }, copied: own.copied }, size);
    };
  }

  #remake(key: string, { entry, copied }: { entry: E; copied: boolean }, size: number): E {
    const now = this.#clock.now();
    const held = { entry, copied, endsAt: now, remadeAt: now };
    this.#entries.set(key, held, { size });
    return handOut(held);
  }

  #claim(key: string, pauseMs: number): boolean {
    const now = this.#clock.now();
    if (now < (this.#tries.get(key) ?? -Infinity)) return false;
    this.#tries.set(key, now + pauseMs);
    return true;
  }

  /** What a loader returned is its caller's: it is copied before it is kept, or not kept. */
  #ownCopy(value: unknown): { value: unknown; copied: boolean } | undefined {
    if (!isCopyable(value)) return undefined;
    const copy = copyOf(value);
    const handout = this.#protect(copy);
    return handout === 'unfit' ? undefined : { value: copy, copied: handout === 'copy' };
  }

  /**
   * What is held, by a name made of each key. Of a large store the entries used last are looked at, and the rest is
   * reckoned, so that it takes this process no longer than a few milliseconds.
   */
  tally(nameOf: (key: string) => string): ReadonlyMap<string, MemoryTally> {
    const tallies = new Map<string, MemoryTally>();
    const share = Math.max(1, this.#entries.size / MOST_TALLIED);
    let looked = 0;
    for (const key of this.#entries.keys()) {
      if (looked >= MOST_TALLIED) break;
      looked += 1;
      const name = nameOf(key);
      const { entries, bytes } = tallies.get(name) ?? { entries: 0, bytes: 0 };
      tallies.set(name, {
        entries: entries + share,
        bytes: bytes + share * (this.#entries.info(key)?.size ?? 0),
      });
    }
    return share === 1 ? tallies : new Map([...tallies].map(([name, tally]) => [name, rounded(tally)]));
  }

  stats(): MemoryStats {
    const inDoubt = this.#doubtfulSince !== undefined;
    return {
      entries: inDoubt ? 0 : this.#entries.size,
      doubtful: inDoubt ? this.#entries.size : 0,
      bytes: this.#entries.calculatedSize,
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
      invalidations: this.#invalidations,
      lateFills: this.#lateFills,
      unfit: this.#unfit,
    };
  }

  #protect(value: unknown): Handout {
    switch (this.#options.isolation) {
      case 'frozen':
        return freezeDeep(value);
      case 'copy':
        return isPrimitive(value) ? 'as-is' : isCopyable(value) ? 'copy' : 'unfit';
      case 'shared':
        return 'as-is';
    }
  }
}

function handOut<E extends Holdable>(held: Held<E>): E {
  return held.copied ? { ...held.entry, value: copyOf(held.entry.value) } : held.entry;
}

function rounded({ entries, bytes }: MemoryTally): MemoryTally {
  return { entries: Math.round(entries), bytes: Math.round(bytes) };
}

function isPrimitive(value: unknown): boolean {
  return (typeof value !== 'object' && typeof value !== 'function') || value === null;
}
