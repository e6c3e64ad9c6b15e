/** Items in the order of their ids: nearly always added at the end and taken from the front. */

export interface Identified {
  readonly id: bigint;
}

/** Taken from the front, places are given back in pieces, so that one removal costs nothing on average. */
const CUT_AT = 512;

export class IdTable<T extends Identified> {
  #items: (T | undefined)[] = [];
  #first = 0;

  get size(): number {
    return this.#items.length - this.#first;
  }

  get first(): T | undefined {
    return this.#items[this.#first];
  }

  get last(): T | undefined {
    return this.size === 0 ? undefined : this.#items.at(-1);
  }

  get(id: bigint): T | undefined {
    const item = this.#items[this.#placeOf(id)];
    return item?.id === id ? item : undefined;
  }

  add(item: T): void {
    const { last } = this;
    if (last === undefined || last.id < item.id) this.#items.push(item);
    else this.#items.splice(this.#placeOf(item.id), 0, item);
  }

  delete(id: bigint): T | undefined {
    const place = this.#placeOf(id);
    const item = this.#items[place];
    if (item?.id !== id) return undefined;
    if (place === this.#first) this.#dropFirst();
    else this.#items.splice(place, 1);
    return item;
  }

  /** From the first id that is not below `from`, up to `to`, both included. */
  *range(from: bigint, to: bigint): Generator<T> {
    for (let place = this.#placeOf(from); place < this.#items.length; place += 1) {
      const item = this.#items[place];
      if (item === undefined || item.id > to) return;
      yield item;
    }
  }

  /** The same, from the end. */
  *reverseRange(from: bigint, to: bigint): Generator<T> {
    for (let place = this.#placeOf(to + 1n) - 1; place >= this.#first; place -= 1) {
      const item = this.#items[place];
      if (item === undefined || item.id < from) return;
      yield item;
    }
  }

  /** All of them, as they are now. */
  all(): T[] {
    return this.#items.slice(this.#first).filter((item) => item !== undefined);
  }

  /** Where an item of that id stands, or would stand. */
  #placeOf(id: bigint): number {
    let low = this.#first;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const item = this.#items[middle];
      if (item !== undefined && item.id < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #dropFirst(): void {
    this.#items[this.#first] = undefined;
    this.#first += 1;
    if (this.#first < CUT_AT && this.#first < this.#items.length) return;
    this.#items = this.#items.slice(this.#first);
    this.#first = 0;
  }
}
