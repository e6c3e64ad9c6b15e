/** A set of members. */
import type { Bytes } from './byte-string.js';
import { MEMBER_WEIGHT, type Collection } from './value.js';

export class SetValue implements Collection {
  readonly type = 'set';
  readonly #members = new Set<Bytes>();
  #weight = 0;

  get size(): number {
    return this.#members.size;
  }

  get weight(): number {
    return this.#weight;
  }

  has(member: Bytes): boolean {
    return this.#members.has(member);
  }

  /** True when it is new. */
  add(member: Bytes): boolean {
    if (this.#members.has(member)) return false;
    this.#members.add(member);
    this.#weight += MEMBER_WEIGHT + member.length;
    return true;
  }

  delete(member: Bytes): boolean {
    if (!this.#members.delete(member)) return false;
    this.#weight -= MEMBER_WEIGHT + member.length;
    return true;
  }

  values(): IterableIterator<Bytes> {
    return this.#members.values();
  }

  clone(): SetValue {
    const copy = new SetValue();
    for (const member of this.#members) copy.add(member);
    return copy;
  }
}
