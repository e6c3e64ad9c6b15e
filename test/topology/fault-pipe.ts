/** One direction of a proxied connection: a queue of bytes that are late, sliced or held on their way. */
import type { Socket } from 'node:net';

export interface Delivery {
  /** Milliseconds until these bytes may leave; asked once per chunk. */
  readonly delay: number;
  /** Bytes that leave at once, and milliseconds between two slices. */
  readonly slice: { readonly size: number; readonly every: number } | undefined;
}

interface Parcel {
  readonly due: number;
  readonly bytes: Buffer;
}

/** Above this the source is paused, so a slow reader slows its writer as without a proxy. */
const QUEUE_LIMIT = 1024 * 1024;

export class FaultPipe {
  readonly #source: Socket;
  readonly #target: Socket;
  readonly #delivery: () => Delivery;
  readonly #queue: Parcel[] = [];
  #queued = 0;
  #lastDue = 0;
  #timer: NodeJS.Timeout | undefined;
  #held = false;
  #blocked = false;
  #atEnd: (() => void) | undefined;

  constructor(source: Socket, target: Socket, delivery: () => Delivery) {
    this.#source = source;
    this.#target = target;
    this.#delivery = delivery;
    target.on('close', () => {
      this.#discard();
    });
  }

  send(bytes: Buffer): void {
    const { delay, slice } = this.#delivery();
    const size = slice?.size ?? bytes.length;
    for (let from = 0; from < bytes.length; from += size) {
      // Never before what was sent earlier, whatever the jitter.
      this.#lastDue = Math.max(performance.now() + delay, this.#lastDue + (slice?.every ?? 0));
      this.#queue.push({ due: this.#lastDue, bytes: bytes.subarray(from, from + size) });
    }
    this.#queued += bytes.length;
    this.#drain();
  }

  /** Runs `then` after everything sent so far has left. */
  atEnd(then: () => void): void {
    this.#atEnd = then;
    this.#drain();
  }

  /** Lets nothing through, and reads nothing: the sender's bytes wait in its own kernel, as on a dead link. */
  hold(): void {
    this.#held = true;
    this.#flow();
  }

  release(): void {
    this.#held = false;
    this.#drain();
  }

  #drain(): void {
    clearTimeout(this.#timer);
    this.#flow();
    if (this.#held || this.#blocked || this.#target.destroyed) return;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const wait = next.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => {
          this.#drain();
        }, Math.ceil(wait));
        return;
      }
      this.#queue.shift();
      this.#queued -= next.bytes.length;
      if (!this.#target.write(next.bytes)) return this.#awaitDrain();
    }
    this.#flow();
    const atEnd = this.#atEnd;
    this.#atEnd = undefined;
    // An empty write is answered when the bytes before it are with the kernel.
    if (atEnd) this.#target.write('', atEnd);
  }

  #awaitDrain(): void {
    this.#blocked = true;
    this.#flow();
    this.#target.once('drain', () => {
      this.#blocked = false;
      this.#drain();
    });
  }

  #flow(): void {
    if (this.#held || this.#blocked || this.#queued > QUEUE_LIMIT) this.#source.pause();
    else this.#source.resume();
  }

  #discard(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
    this.#queued = 0;
  }
}
