/**
 * Keeps every open request inside its deadline. One coarse timer for all of them instead of one each: a
 * walk over the open requests every few milliseconds costs less than arming and clearing thousands of
 * timers, and it works whatever the driver below does or forgets to do.
 */
import type { Clock, Timer } from '../core/index.js';
import type { Request } from './request.js';

/** A tick this late means that the event loop stood still. */
const STALL_MS = 50;
const STALL_GRACE_MS = 20;

export class DeadlineKeeper {
  readonly #clock: Clock;
  readonly #onExpired: (requests: readonly Request[]) => void;
  readonly #tickMs: number;
  #first: Request | undefined;
  #size = 0;
  #timer: Timer | undefined;
  #tickDueAt = 0;

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
    if (this.#timer === undefined) this.#arm();
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

  #arm(): void {
    this.#tickDueAt = this.#clock.now() + this.#tickMs;
    this.#timer = this.#clock.after(this.#tickMs, this.#tick, { keepAlive: true });
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    if (this.#size === 0) return;
    const late = this.#clock.now() - this.#tickDueAt;
    this.#arm();
    if (this.#expired().length === 0) return;
    // After a stall of the event loop the answers may lie unread in the socket, and what was asked just before it
    // has only now been sent: let the one be read, and the other be answered.
    if (late > STALL_MS) this.#clock.after(STALL_GRACE_MS, this.#judge, { keepAlive: true });
    else this.#clock.turn(this.#judge);
  };

  readonly #judge = (): void => {
    const expired = this.#expired();
    if (expired.length > 0) this.#onExpired(expired);
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
