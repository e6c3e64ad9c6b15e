/**
 * Keeps every open request inside its deadline. One coarse timer for all of them instead of one each: a
 * walk over the open requests every few milliseconds costs less than arming and clearing thousands of
 * timers, and it works whatever the driver below does or forgets to do.
 */
import type { Clock, Timer } from '../core/index.js';
import type { Request } from './request.js';

export class DeadlineKeeper {
  readonly #clock: Clock;
  readonly #onExpired: (requests: readonly Request[]) => void;
  readonly #tickMs: number;
  #first: Request | undefined;
  #size = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, tickMs: number, onExpired: (requests: readonly Request[]) => void) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#onExpired = onExpired;
  }

  get size(): number {
    return this.#size;
  }

  add(request: Request): void {
    const first = this.#first;
    request.next = first;
    if (first !== undefined) first.previous = request;
    this.#first = request;
    this.#size += 1;
    // The timer outlives an empty list by one tick, so that serial calls do not arm it once each.
    this.#timer ??= this.#clock.after(this.#tickMs, this.#tick, { keepAlive: true });
  }

  remove(request: Request): void {
    const { previous, next } = request;
    if (previous === undefined) {
      if (this.#first !== request) return;
      this.#first = next;
    } else {
      previous.next = next;
    }
    if (next !== undefined) next.previous = previous;
    request.previous = undefined;
    request.next = undefined;
    this.#size -= 1;
  }

  /** Every request that is still open. */
  drain(): readonly Request[] {
    const open: Request[] = [];
    for (let request = this.#first; request !== undefined; request = request.next) open.push(request);
    return open;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    if (this.#size === 0) return;
    this.#timer = this.#clock.after(this.#tickMs, this.#tick, { keepAlive: true });
    if (this.#expired().length === 0) return;
    // After a stall of the event loop the answers may lie unread in the socket: let it be read first.
    this.#clock.turn(() => {
      const expired = this.#expired();
      if (expired.length > 0) this.#onExpired(expired);
    });
  };

  #expired(): Request[] {
    const now = this.#clock.now();
    const expired: Request[] = [];
    for (let request = this.#first; request !== undefined; request = request.next) {
      if (request.deadlineAt <= now) expired.push(request);
    }
    return expired;
  }
}
