/**
 * Where the entries lie: by key in a Map, and by number in a dense table that scanning, sampling and
 * sweeping walk along. An entry keeps its number as long as it lives, so a cursor that only moves forward
 * passes every key that was there throughout, whatever else comes and goes.
 *
 * Entries with an expiry are also chained by last use: the head is what `volatile-lru` evicts. Redis
 * estimates that order by sampling; a chain is exact and costs four assignments per use.
 */
import type { Bytes } from './byte-string.js';
import type { Value } from './value.js';

/** The expiry of what never expires. */
export const NEVER = Number.POSITIVE_INFINITY;

export interface Entry {
  readonly key: Bytes;
  value: Value;
  /** Milliseconds of the server's clock, or {@link NEVER}. */
  expiresAt: number;
  /** Bytes counted for it in the total. */
  weight: number;
  readonly slot: number;
  older: Entry | undefined;
  newer: Entry | undefined;
}

export class EntryTable {
  readonly #byKey = new Map<Bytes, Entry>();
  #slots: (Entry | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #oldest: Entry | undefined;
  #newest: Entry | undefined;
  #volatileCount = 0;

  get size(): number {
    return this.#byKey.size;
  }

  /** Entries that carry an expiry. */
  get volatileCount(): number {
    return this.#volatileCount;
  }

  /** One more than the highest number ever in use at a time. */
  get slotCount(): number {
    return this.#slots.length;
  }

  /** The least recently used entry that carries an expiry. */
  get oldestVolatile(): Entry | undefined {
    return this.#oldest;
  }

  get(key: Bytes): Entry | undefined {
    return this.#byKey.get(key);
  }

  at(slot: number): Entry | undefined {
    return this.#slots[slot];
  }

  add(key: Bytes, value: Value): Entry {
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    const entry: Entry = {
      key,
      value,
      expiresAt: NEVER,
      weight: 0,
      slot,
      older: undefined,
      newer: undefined,
    };
    this.#slots[slot] = entry;
    this.#byKey.set(key, entry);
    return entry;
  }

  remove(entry: Entry): void {
    this.#byKey.delete(entry.key);
    if (entry.expiresAt !== NEVER) this.#unchain(entry);
    this.#slots[entry.slot] = undefined;
    if (this.#byKey.size === 0) {
      this.#slots = [];
      this.#freeSlots.length = 0;
    } else {
      this.#freeSlots.push(entry.slot);
    }
  }

  setExpiry(entry: Entry, expiresAt: number): void {
    if (entry.expiresAt !== NEVER) this.#unchain(entry);
    entry.expiresAt = expiresAt;
    if (expiresAt !== NEVER) this.#chain(entry);
  }

  /** Notes that the entry was used just now. */
  touch(entry: Entry): void {
    if (entry.expiresAt === NEVER || entry === this.#newest) return;
    this.#unchain(entry);
    this.#chain(entry);
  }

  #chain(entry: Entry): void {
    entry.older = this.#newest;
    entry.newer = undefined;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    this.#volatileCount += 1;
  }

  #unchain(entry: Entry): void {
    const { older, newer } = entry;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    entry.older = undefined;
    entry.newer = undefined;
    this.#volatileCount -= 1;
  }
}
