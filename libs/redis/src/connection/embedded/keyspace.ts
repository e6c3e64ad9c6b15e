/**
 * The data of the embedded Redis: typed entries with expiry and a bound on memory. It is only ever touched
 * from inside one command or one script, so nothing in here has to think about what runs in between.
 *
 * `now` stands still while a command or script runs, as on a server.
 */
import type { Bytes } from './byte-string.js';
import { outOfMemory, wrongType } from './command-failure.js';
import { EntryTable, NEVER, type Entry } from './entry-table.js';
import { weigh, type Collection, type CollectionKind, type Value } from './value.js';

export interface KeyspaceLimits {
  readonly maxEntries: number;
  /** Estimated, keys and bookkeeping included. */
  readonly maxBytes: number;
}

export interface KeyspaceStats {
  readonly entries: number;
  readonly usedBytes: number;
  readonly evicted: number;
  readonly expired: number;
}

export class Keyspace {
  readonly limits: KeyspaceLimits;
  /** Whole milliseconds since 1970 by the server's clock. */
  now = 0;
  /** The same moment in whole microseconds. */
  nowMicros = 0;

  readonly #table = new EntryTable();
  /** Entries whose collection a command has had in hand: weighed anew, or dropped when empty, by `settle`. */
  readonly #unsettled = new Set<Entry>();
  #usedBytes = 0;
  #evicted = 0;
  #expired = 0;
  /** No expiry lies before this; it may be too early, never too late. */
  #soonest = NEVER;
  /** The same for what the present pass of the sweep has seen, and for what was set meanwhile. */
  #soonestOfPass = NEVER;
  #sweepAt = 0;

  constructor(limits: KeyspaceLimits) {
    this.limits = limits;
  }

  /** Told of every key that is written, given another expiry, deleted, expired or evicted, as it happens. */
  onChange: ((key: Bytes) => void) | undefined;

  /** Moves the clock on, before a command or script. */
  advanceTo(nowMs: number): void {
    this.now = Math.floor(nowMs);
    this.nowMicros = Math.floor(nowMs * 1_000);
  }

  get size(): number {
    return this.#table.size;
  }

  get volatileCount(): number {
    return this.#table.volatileCount;
  }

  /** A moment before which nothing expires. */
  get soonestExpiry(): number {
    return this.#soonest;
  }

  stats(): KeyspaceStats {
    return {
      entries: this.#table.size,
      usedBytes: this.#usedBytes,
      evicted: this.#evicted,
      expired: this.#expired,
    };
  }

  /** The entry, without counting as a use of it. */
  peek(key: Bytes): Entry | undefined {
    const entry = this.#table.get(key);
    if (entry === undefined || entry.expiresAt >= this.now) return entry;
    this.#drop(entry);
    this.#expired += 1;
    return undefined;
  }

  find(key: Bytes): Entry | undefined {
    const entry = this.peek(key);
    if (entry !== undefined) this.#table.touch(entry);
    return entry;
  }

  /** The string at `key`; WRONGTYPE when something else is there. */
  readString(key: Bytes): Bytes | undefined {
    const value = this.find(key)?.value;
    if (value !== undefined && typeof value !== 'string') throw wrongType();
    return value;
  }

  /** The collection at `key`, to look at only; WRONGTYPE when it is of another kind. */
  read<T extends Collection>(key: Bytes, kind: CollectionKind<T>): T | undefined {
    const entry = this.find(key);
    return entry === undefined ? undefined : ofKind(entry.value, kind);
  }

  /** The collection at `key`, to be changed by this command. */
  edit<T extends Collection>(key: Bytes, kind: CollectionKind<T>): T | undefined {
    const entry = this.find(key);
    if (entry === undefined) return undefined;
    const value = ofKind(entry.value, kind);
    this.#unsettled.add(entry);
    return value;
  }

  /** As `edit`, and made when it is not there. One that is still empty at the end of the command goes again. */
  open<T extends Collection>(key: Bytes, kind: CollectionKind<T>): T {
    const present = this.edit(key, kind);
    if (present !== undefined) return present;
    const value = new kind();
    this.#unsettled.add(this.#table.add(key, value));
    return value;
  }

  /** Puts a value in place of whatever is there. */
  put(key: Bytes, value: Value, expiresAt: number): void {
    const entry = this.#table.get(key) ?? this.#table.add(key, value);
    entry.value = value;
    // Announces it too.
    this.setExpiry(entry, expiresAt);
    this.#weighAnew(entry);
  }

  /** Changes a string and leaves its expiry as it is. */
  replaceString(key: Bytes, value: Bytes): void {
    this.put(key, value, this.peek(key)?.expiresAt ?? NEVER);
  }

  setExpiry(entry: Entry, expiresAt: number): void {
    this.#table.setExpiry(entry, expiresAt);
    if (expiresAt < this.#soonest) this.#soonest = expiresAt;
    if (expiresAt < this.#soonestOfPass) this.#soonestOfPass = expiresAt;
    this.onChange?.(entry.key);
  }

  /** True when there was something, expired entries not counted. */
  delete(key: Bytes): boolean {
    const entry = this.peek(key);
    if (entry === undefined) return false;
    this.#drop(entry);
    return true;
  }

  /** Visits up to `count` places from `cursor` on; returns where to go on, 0 at the end. */
  scan(cursor: number, count: number, visit: (entry: Entry) => void): number {
    let slot = cursor;
    // Counted by places, not by entries: a table full of holes may not make one call long.
    for (let steps = 0; steps < count && slot < this.#table.slotCount; steps += 1) {
      const entry = this.#table.at(slot);
      if (entry !== undefined && entry.expiresAt >= this.now) visit(entry);
      slot += 1;
    }
    return slot >= this.#table.slotCount ? 0 : slot;
  }

  randomKey(): Bytes | null {
    const { slotCount } = this.#table;
    const start = Math.floor(Math.random() * slotCount);
    for (let step = 0; step < slotCount; step += 1) {
      const entry = this.#table.at((start + step) % slotCount);
      if (entry !== undefined && entry.expiresAt >= this.now) return entry.key;
    }
    return null;
  }

  /** Ends a command: collections it touched are weighed, and those left empty disappear with their keys. */
  settle(): void {
    if (this.#unsettled.size === 0) return;
    for (const entry of this.#unsettled) {
      const { value } = entry;
      // Renamed or deleted meanwhile: it is no longer counted.
      if (this.#table.get(entry.key) !== entry || typeof value === 'string') continue;
      if (value.size === 0) {
        this.#drop(entry);
        continue;
      }
      this.#weighAnew(entry);
      this.onChange?.(entry.key);
    }
    this.#unsettled.clear();
  }

  /** True when this much more is within the limits. */
  fits(entries: number, bytes: number): boolean {
    return (
      this.#table.size + entries <= this.limits.maxEntries && this.#usedBytes + bytes <= this.limits.maxBytes
    );
  }

  /** Removes what was used least recently among the entries with an expiry; false when there is none. */
  evictOne(): boolean {
    const victim = this.#table.oldestVolatile;
    if (victim === undefined) return false;
    this.#drop(victim);
    this.#evicted += 1;
    return true;
  }

  /** For commands that make much out of few arguments, such as `SETRANGE` far behind the end. */
  reserve(bytes: number): void {
    while (!this.fits(0, bytes)) {
      if (!this.evictOne()) throw outOfMemory();
    }
  }

  /** Looks at the next `limit` places, and removes what has expired. */
  sweep(limit: number): { removed: number; passEnded: boolean } {
    const end = Math.min(this.#sweepAt + limit, this.#table.slotCount);
    let removed = 0;
    for (; this.#sweepAt < end; this.#sweepAt += 1) {
      const entry = this.#table.at(this.#sweepAt);
      if (entry === undefined) continue;
      if (entry.expiresAt < this.now) {
        this.#drop(entry);
        removed += 1;
      } else if (entry.expiresAt < this.#soonestOfPass) {
        this.#soonestOfPass = entry.expiresAt;
      }
    }
    this.#expired += removed;
    const passEnded = this.#sweepAt >= this.#table.slotCount;
    if (passEnded) {
      this.#soonest = this.#soonestOfPass;
      this.#soonestOfPass = NEVER;
      this.#sweepAt = 0;
    }
    return { removed, passEnded };
  }

  #weighAnew(entry: Entry): void {
    const weight = weigh(entry.key, entry.value);
    this.#usedBytes += weight - entry.weight;
    entry.weight = weight;
  }

  #drop(entry: Entry): void {
    this.#table.remove(entry);
    this.#usedBytes -= entry.weight;
    entry.weight = 0;
    this.onChange?.(entry.key);
  }
}

function ofKind<T extends Collection>(value: Value, kind: CollectionKind<T>): T {
  if (!(value instanceof kind)) throw wrongType();
  return value;
}
