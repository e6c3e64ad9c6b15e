/**
 * What this process has changed while Redis was away, so that Redis can be told before it is read again. It keeps
 * what has to be done and not what happened: a key once, nothing that a later flush makes needless, and beyond its
 * bound one flush of the whole namespace.
 *
 * A replay takes entries one by one while new ones come in. Each entry has a version, and only what is still of the
 * version that was replayed is struck out.
 */
import type { Key } from '../../connection/index.js';

/** What Redis owes one key. The steps are taken in this order. */
export interface KeyDebt {
  /** Of the cache. */
  readonly cache: string;
  readonly key: Key;
  readonly full: string;
  version: number;
  /** Whatever lies there has to go. */
  remove: boolean;
  /** Raised by each removal: what began before it is void. */
  removals: number;
  /** To be counted on, or 0. */
  delta: number;
  /** Fields of a hash whose values lie in the standby. */
  readonly fields: Set<string>;
  /** Wall clock milliseconds: the end of a counter or hash that began while Redis was away; undefined for never. */
  endsAt: number | undefined;
  /** A new expiry, of what remained in place; undefined for none, `'never'` for no expiry any more. */
  expiry: number | 'never' | undefined;
}

export interface PrefixDebt {
  readonly cache: string;
  readonly prefix: Key;
  version: number;
}

interface Place {
  readonly cache: string;
  readonly key: Key;
  readonly full: string;
}

/** What a replay works off. */
export interface JournalView {
  readonly version: number;
  readonly overflowed: boolean;
  readonly flushes: readonly string[];
  readonly prefixes: readonly PrefixDebt[];
  readonly tags: readonly string[];
  readonly keys: readonly KeyDebt[];
}

export class Journal {
  readonly #limit: number;
  readonly #keys = new Map<string, KeyDebt>();
  readonly #tags = new Map<string, number>();
  readonly #prefixes = new Map<string, PrefixDebt>();
  readonly #flushes = new Map<string, number>();
  #fields = 0;
  #overflow: number | undefined;
  #version = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    const named = this.#keys.size + this.#tags.size + this.#prefixes.size + this.#flushes.size;
    return named + this.#fields + (this.overflowed ? 1 : 0);
  }

  get overflowed(): boolean {
    return this.#overflow !== undefined;
  }

  /** Nothing in it takes long: no sweep over all keys of a server. */
  get short(): boolean {
    return !this.overflowed && this.#prefixes.size === 0 && this.#flushes.size === 0 && this.size <= 256;
  }

  // -- changes ----------------------------------------------------------------------------------------------

  remove(place: Place): void {
    this.#owe(place, (debt) => {
      this.#void(debt);
      debt.remove = true;
    });
  }

  expire(place: Place, expiry: number | 'never'): void {
    this.#owe(place, (debt) => {
      debt.expiry = expiry;
    });
  }

  count(place: Place, call: { amount: number; now: number; endsAt: number | undefined }): void {
    this.#owe(place, (debt) => {
      const over = debt.endsAt !== undefined && debt.endsAt <= call.now;
      if (debt.delta === 0 || over) debt.endsAt = call.endsAt;
      debt.delta = (over ? 0 : debt.delta) + call.amount;
    });
  }

  putFields(place: Place, fields: readonly string[], endsAt: number | undefined): void {
    this.#owe(place, (debt) => {
      if (debt.fields.size === 0) debt.endsAt = endsAt;
      this.#fields -= debt.fields.size;
      for (const field of fields) debt.fields.add(field);
      this.#fields += debt.fields.size;
    });
  }

  tags(tags: readonly string[]): void {
    const version = this.#next();
    for (const tag of tags) {
      if (!this.#hasRoom(this.#tags.has(tag))) return;
      this.#tags.set(tag, version);
    }
  }

  /** `holds` tells the keys below it, which need not be remembered one by one any more. */
  prefix(cache: string, prefix: Key, holds: (full: string) => boolean): void {
    const version = this.#next();
    const id = JSON.stringify([cache, prefix]);
    this.#strike((debt) => debt.cache === cache && holds(debt.full));
    if (this.#flushes.has(cache)) return;
    if (this.#hasRoom(this.#prefixes.has(id))) this.#prefixes.set(id, { cache, prefix, version });
  }

  flush(cache: string): void {
    const version = this.#next();
    this.#strike((debt) => debt.cache === cache);
    for (const [id, debt] of this.#prefixes) if (debt.cache === cache) this.#prefixes.delete(id);
    if (this.#hasRoom(this.#flushes.has(cache))) this.#flushes.set(cache, version);
  }

  // -- replay -----------------------------------------------------------------------------------------------

  view(): JournalView {
    return {
      version: this.#version,
      overflowed: this.overflowed,
      flushes: [...this.#flushes.keys()],
      prefixes: [...this.#prefixes.values()],
      tags: [...this.#tags.keys()],
      keys: [...this.#keys.values()],
    };
  }

  /** All invalidations of the view are done: those that were not repeated since are struck out. */
  invalidated({ version, keys }: JournalView): void {
    if (this.#overflow !== undefined && this.#overflow <= version) this.#overflow = undefined;
    for (const [cache, at] of this.#flushes) if (at <= version) this.#flushes.delete(cache);
    for (const [id, debt] of this.#prefixes) if (debt.version <= version) this.#prefixes.delete(id);
    for (const [tag, at] of this.#tags) if (at <= version) this.#tags.delete(tag);
    for (const debt of keys) {
      if (debt.version > version) continue;
      debt.remove = false;
      this.settle(debt);
    }
  }

  /** Takes what is to be counted, so that it can not be counted twice. */
  takeDelta(debt: KeyDebt): number {
    const { delta } = debt;
    debt.delta = 0;
    return delta;
  }

  /** It was certainly not counted; unless the counter was removed meanwhile, it still is to be. */
  giveBackDelta(debt: KeyDebt, delta: number, removals: number): void {
    if (this.#keys.get(debt.full) === debt && debt.removals === removals) debt.delta += delta;
  }

  takeFields(debt: KeyDebt): readonly string[] {
    const fields = [...debt.fields];
    this.#fields -= fields.length;
    debt.fields.clear();
    return fields;
  }

  giveBackFields(debt: KeyDebt, fields: readonly string[], removals: number): void {
    if (this.#keys.get(debt.full) !== debt || debt.removals !== removals) return;
    this.#fields -= debt.fields.size;
    for (const field of fields) debt.fields.add(field);
    this.#fields += debt.fields.size;
  }

  /** Strikes the key out when nothing is owed to it any more. */
  settle(debt: KeyDebt): void {
    const open = debt.remove || debt.delta !== 0 || debt.fields.size > 0 || debt.expiry !== undefined;
    if (!open && this.#keys.get(debt.full) === debt) this.#keys.delete(debt.full);
  }

  // -- within -----------------------------------------------------------------------------------------------

  #next(): number {
    this.#version += 1;
    if (this.#overflow !== undefined) this.#overflow = this.#version;
    return this.#version;
  }

  #owe(place: Place, change: (debt: KeyDebt) => void): void {
    const version = this.#next();
    const known = this.#keys.get(place.full);
    if (!this.#hasRoom(known !== undefined)) return;
    const debt = known ?? newDebt(place);
    this.#keys.set(place.full, debt);
    debt.version = version;
    change(debt);
    if (this.#fields > this.#limit) this.#overflowNow();
  }

  #hasRoom(known: boolean): boolean {
    if (this.#overflow !== undefined) return false;
    if (known || this.size < this.#limit) return true;
    this.#overflowNow();
    return false;
  }

  #overflowNow(): void {
    for (const each of [this.#keys, this.#tags, this.#prefixes, this.#flushes]) each.clear();
    this.#fields = 0;
    this.#overflow = this.#version;
  }

  #strike(matches: (debt: KeyDebt) => boolean): void {
    for (const debt of this.#keys.values()) {
      if (!matches(debt)) continue;
      this.#void(debt);
      this.#keys.delete(debt.full);
    }
  }

  #void(debt: KeyDebt): void {
    debt.removals += 1;
    debt.delta = 0;
    debt.endsAt = undefined;
    debt.expiry = undefined;
    this.#fields -= debt.fields.size;
    debt.fields.clear();
  }
}

/** What the caller handed in may change later. */
function newDebt({ cache, key, full }: Place): KeyDebt {
  return {
    cache,
    key: typeof key === 'string' ? key : [...key],
    full,
    version: 0,
    remove: false,
    removals: 0,
    delta: 0,
    fields: new Set(),
    endsAt: undefined,
    expiry: undefined,
  };
}
