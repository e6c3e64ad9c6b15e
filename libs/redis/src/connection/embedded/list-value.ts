/** A list: a ring of a power of two, so that both ends take and give in constant time. */
import type { Bytes } from './byte-string.js';
import { STRING_WEIGHT, type Collection } from './value.js';

export type ListEnd = 'left' | 'right';

const ELEMENT_WEIGHT = STRING_WEIGHT + 16;
const SMALLEST_RING = 8;

export class ListValue implements Collection {
  readonly type = 'list';
  #ring: (Bytes | undefined)[] = Array.from({ length: SMALLEST_RING });
  #head = 0;
  #size = 0;
  #weight = 0;

  get size(): number {
    return this.#size;
  }

  get weight(): number {
    return this.#weight;
  }

  push(end: ListEnd, element: Bytes): void {
    if (this.#size === this.#ring.length) this.#resize(this.#size * 2);
    if (end === 'left') this.#head = this.#place(-1);
    this.#ring[this.#place(end === 'left' ? 0 : this.#size)] = element;
    this.#size += 1;
    this.#weight += ELEMENT_WEIGHT + element.length;
  }

  pop(end: ListEnd): Bytes | undefined {
    if (this.#size === 0) return undefined;
    const place = this.#place(end === 'left' ? 0 : this.#size - 1);
    const element = this.#ring[place];
    this.#ring[place] = undefined;
    if (end === 'left') this.#head = this.#place(1);
    this.#size -= 1;
    this.#weight -= ELEMENT_WEIGHT + (element?.length ?? 0);
    // A quarter full, not half, so that a size going up and down by one does not resize each time.
    if (this.#ring.length > SMALLEST_RING && this.#size * 4 <= this.#ring.length) {
      this.#resize(this.#ring.length / 2);
    }
    return element;
  }

  at(index: number): Bytes | undefined {
    return index < 0 || index >= this.#size ? undefined : this.#ring[this.#place(index)];
  }

  set(index: number, element: Bytes): void {
    const place = this.#place(index);
    this.#weight += element.length - (this.#ring[place]?.length ?? 0);
    this.#ring[place] = element;
  }

  slice(start: number, end: number): Bytes[] {
    const elements: Bytes[] = [];
    for (let index = start; index < end; index += 1) {
      const element = this.at(index);
      if (element !== undefined) elements.push(element);
    }
    return elements;
  }

  /** Replaces the whole content, for what changes the middle. */
  reset(elements: readonly Bytes[]): void {
    this.#ring = Array.from({ length: ringFor(elements.length) });
    this.#head = 0;
    this.#size = 0;
    this.#weight = 0;
    for (const element of elements) this.push('right', element);
  }

  clone(): ListValue {
    const copy = new ListValue();
    copy.reset(this.slice(0, this.#size));
    return copy;
  }

  #place(offset: number): number {
    return (this.#head + offset) & (this.#ring.length - 1);
  }

  #resize(length: number): void {
    const elements: (Bytes | undefined)[] = this.slice(0, this.#size);
    elements.length = length;
    this.#ring = elements;
    this.#head = 0;
  }
}

function ringFor(size: number): number {
  let length = SMALLEST_RING;
  while (length < size) length *= 2;
  return length;
}
