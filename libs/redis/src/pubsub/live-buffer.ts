/** Messages between a connection that pushes and a listener that takes its time: bounded by number and bytes. */
import type { Message } from '../connection/index.js';
import type { Overflow } from './pubsub.options.js';

export interface LiveBufferLimits {
  readonly buffer: number;
  readonly bufferBytes: number;
  readonly overflow: Overflow;
}

/** What is dropped from the front is cut off in pieces, so that a drop costs nothing on average. */
const CUT_AT = 1_024;

export class LiveBuffer {
  readonly #limits: LiveBufferLimits;
  #items: (Message | undefined)[] = [];
  #first = 0;
  #bytes = 0;
  #dropped = 0;
  #overflown = false;

  constructor(limits: LiveBufferLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#items.length - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** With `overflow: 'error'`: something did not fit, and nothing is taken in any more. */
  get overflown(): boolean {
    return this.#overflown;
  }

  /** False when the message, or an older one for its sake, was dropped. */
  push(message: Message): boolean {
    const size = message.payload.length;
    if (this.#fits(size)) {
      this.#append(message, size);
      return true;
    }
    this.#dropped += 1;
    if (this.#limits.overflow === 'error') this.#overflown = true;
    if (this.#limits.overflow !== 'dropOldest' || size > this.#limits.bufferBytes) return false;
    // The one that is dropped first is counted already.
    for (this.shift(); !this.#fits(size) && this.size > 0; this.shift()) this.#dropped += 1;
    this.#append(message, size);
    return false;
  }

  shift(): Message | undefined {
    const message = this.#items[this.#first];
    if (message === undefined) return undefined;
    this.#items[this.#first] = undefined;
    this.#first += 1;
    this.#bytes -= message.payload.length;
    if (this.#first >= CUT_AT || this.#first === this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return message;
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
    this.#bytes = 0;
  }

  #fits(size: number): boolean {
    const { buffer, bufferBytes } = this.#limits;
    return !this.#overflown && this.size < buffer && this.#bytes + size <= bufferBytes;
  }

  #append(message: Message, size: number): void {
    this.#items.push({ ...message, payload: onItsOwn(message.payload) });
    this.#bytes += size;
  }
}

/** A small slice of a large read buffer would keep all of that alive for as long as it waits here. */
function onItsOwn(payload: Buffer): Buffer {
  if (payload.length * 2 >= payload.buffer.byteLength) return payload;
  const copy = Buffer.allocUnsafeSlow(payload.length);
  payload.copy(copy);
  return copy;
}
