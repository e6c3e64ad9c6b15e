/** A hash: fields to values. */
import type { Bytes } from './byte-string.js';
import { MEMBER_WEIGHT, STRING_WEIGHT, type Collection } from './value.js';

export class HashValue implements Collection {
  readonly type = 'hash';
  readonly #fields = new Map<Bytes, Bytes>();
  #weight = 0;

  get size(): number {
    return this.#fields.size;
  }

  get weight(): number {
    return this.#weight;
  }

  get(field: Bytes): Bytes | undefined {
    return this.#fields.get(field);
  }

  has(field: Bytes): boolean {
    return this.#fields.has(field);
  }

  /** True when the field is new. */
  set(field: Bytes, value: Bytes): boolean {
    const before = this.#fields.get(field);
    this.#fields.set(field, value);
    if (before === undefined) {
      this.#weight += MEMBER_WEIGHT + STRING_WEIGHT + field.length + value.length;
      return true;
    }
    this.#weight += value.length - before.length;
    return false;
  }

  delete(field: Bytes): boolean {
    const before = this.#fields.get(field);
    if (before === undefined) return false;
    this.#fields.delete(field);
    this.#weight -= MEMBER_WEIGHT + STRING_WEIGHT + field.length + before.length;
    return true;
  }

  entries(): IterableIterator<[Bytes, Bytes]> {
    return this.#fields.entries();
  }

  clone(): HashValue {
    const copy = new HashValue();
    for (const [field, value] of this.#fields) copy.set(field, value);
    return copy;
  }
}
