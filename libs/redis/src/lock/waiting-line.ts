/**
 * Those of this process who wait for one lock. Only the first of them asks Redis: when the end of a hold is
 * told, when the lock should have run out, and otherwise seldom, in case a message was lost. So a thousand
 * waiters cost the server as much as one.
 */
import type { Clock, Timer } from '../core/index.js';
import { abortReason } from '../core/index.js';
import type { Grant } from './hold.js';

export interface Attempt {
  /** Undefined when somebody else holds the lock. */
  readonly grant: Grant | undefined;
  readonly leftMs: number;
  /** The ticket that was used up; empty for none. */
  readonly ticket: string;
}

export interface WaitingLineParts {
  readonly clock: Clock;
  readonly random: () => number;
  attempt(ticket: string, ttlMs: number): Promise<Attempt>;
  /** Nobody uses this ticket any more. */
  leave(ticket: string): void;
  /** A lock was taken and there is nobody left to hold it. */
  giveBack(grant: Grant): void;
  /** Nobody waits any more. */
  onEmpty(): void;
}

export interface Waiter {
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  /** Builds the rejection when the time is up; `failure` is why Redis was not heard last. */
  timedOut(failure: Error | undefined): Error;
}

interface Place extends Waiter {
  ticket: string;
  readonly resolve: (grant: Grant) => void;
  readonly reject: (error: Error) => void;
  readonly end: () => void;
}

/** How often a lock is looked at when nothing is heard of it. */
const SAFETY_MS = 5_000;
/** The same while Redis does not answer. */
const AFTER_FAILURE_MS = 250;
/** Expiry on the server and our timer are not the same clock, and not all processes are to ask at once. */
const AFTER_EXPIRY_MS = 2;
const SPREAD_MS = 15;

export class WaitingLine {
  readonly #parts: WaitingLineParts;
  readonly #places: Place[] = [];
  #failure: Error | undefined;
  #asking = false;
  #again = false;
  #timer: Timer | undefined;

  constructor(parts: WaitingLineParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#places.length;
  }

  /** Waits in line from now on; with a ticket the place is known to all processes. */
  join(waiter: Waiter, ticket: string): Promise<Grant> {
    return new Promise((resolve, reject) => {
      const { clock } = this.#parts;
      const leave = (error: Error): void => {
        if (this.#remove(place)) place.reject(error);
      };
      const onAbort = (): void => {
        if (waiter.signal !== undefined) leave(abortReason(waiter.signal));
      };
      const timer = Number.isFinite(waiter.waitMs)
        ? clock.after(waiter.waitMs, () => leave(waiter.timedOut(this.#failure)), { keepAlive: true })
        : undefined;
      const end = (): void => {
        timer?.cancel();
        waiter.signal?.removeEventListener('abort', onAbort);
      };
      const place: Place = { ...waiter, ticket, resolve, reject, end };
      this.#places.push(place);
      waiter.signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Something has happened to the lock: ask. */
  ring(): void {
    this.#timer?.cancel();
    if (this.#asking) this.#again = true;
    else void this.#ask();
  }

  /** As {@link ring}, after so long at the latest. */
  ringIn(leftMs: number): void {
    if (this.#places.length === 0) return;
    const waitMs = leftMs < 0 ? SAFETY_MS : leftMs + AFTER_EXPIRY_MS;
    const spread = this.#parts.random() * SPREAD_MS;
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.after(Math.min(waitMs, SAFETY_MS) + spread, () => this.ring());
  }

  /** A lock came our way: the first in line gets it. */
  hand(attempt: Attempt): void {
    const { grant, ticket } = attempt;
    if (grant === undefined) return;
    const [first] = this.#places;
    if (first === undefined) {
      this.#parts.giveBack(grant);
      return;
    }
    this.#passOn(ticket, first.ticket);
    first.ticket = '';
    this.#remove(first);
    first.resolve(grant);
  }

  fail(error: Error): void {
    for (const place of [...this.#places]) {
      this.#remove(place);
      place.reject(error);
    }
  }

  async #ask(): Promise<void> {
    const [first] = this.#places;
    if (first === undefined) return;
    this.#asking = true;
    this.#again = false;
    let leftMs: number;
    try {
      const attempt = await this.#parts.attempt(first.ticket, first.ttlMs);
      this.#failure = undefined;
      leftMs = attempt.grant?.ttlMs ?? attempt.leftMs;
      this.hand(attempt);
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      leftMs = AFTER_FAILURE_MS;
    } finally {
      this.#asking = false;
    }
    if (this.#again) this.ring();
    else this.ringIn(leftMs);
  }

  /** The ticket that was used up may be another one's here: that one goes on with ours. */
  #passOn(used: string, ours: string): void {
    if (used === '' || used === ours) return;
    const owner = this.#places.find((place) => place.ticket === used);
    if (owner === undefined) this.#parts.leave(ours);
    else owner.ticket = ours;
  }

  #remove(place: Place): boolean {
    const at = this.#places.indexOf(place);
    if (at === -1) return false;
    this.#places.splice(at, 1);
    place.end();
    if (place.ticket !== '') this.#parts.leave(place.ticket);
    if (this.#places.length === 0) {
      this.#timer?.cancel();
      this.#parts.onEmpty();
    }
    return true;
  }
}
