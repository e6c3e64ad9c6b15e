/**
 * Time that stands still until a test moves it. Measured time and the wall clock are two hands: `advance`
 * moves both, `jumpWall` moves the wall clock alone, as NTP, a suspended laptop or an operator does.
 */
import type { Clock, Timer } from '../src/core/index.js';

interface PendingTimer {
  readonly dueAt: number;
  readonly callback: () => void;
}

export interface FakeClockOptions {
  /** Where measured time starts. @default 0 */
  startMs?: number;
  /** Where the wall clock starts, in milliseconds since 1970. @default 2026-01-01T00:00:00Z */
  wallMs?: number;
}

export class FakeClock implements Clock {
  #now: number;
  #wall: number;
  #timers: PendingTimer[] = [];
  #turns: (() => void)[] = [];

  constructor(options: FakeClockOptions = {}) {
    this.#now = options.startMs ?? 0;
    this.#wall = options.wallMs ?? Date.UTC(2026, 0, 1);
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return this.#wall;
  }

  after(ms: number, callback: () => void): Timer {
    const timer: PendingTimer = { dueAt: this.#now + Math.max(0, ms), callback };
    this.#timers.push(timer);
    return { cancel: () => this.#remove(timer) };
  }

  turn(callback: () => void): void {
    this.#turns.push(callback);
  }

  /** Timers that have neither run nor been cancelled: what a test asserts to be 0 to find a leak. */
  get pendingTimers(): number {
    return this.#timers.length;
  }

  /** Moves the wall clock only, forwards or back; nothing that measures may notice. */
  jumpWall(ms: number): void {
    this.#wall += ms;
  }

  /** Lets time pass: timers run in the order they fall due, each at its own time, each followed by a turn. */
  advance(ms: number): void {
    const target = this.#now + ms;
    while (this.#runNext(target));
    this.#moveTo(target);
    this.flush();
  }

  /** As {@link advance}, and between timers promises get to run, so that they may set timers of their own. */
  async advanceAsync(ms: number): Promise<void> {
    const target = this.#now + ms;
    let timers = 0;
    do {
      // What runs for days is mostly somebody who looks every half second whether all is well.
      if (timers < SETTLED_TIMERS || timers % SETTLED_EVERY === 0) await settlePromises();
      else for (let i = 0; i < MICROTASKS; i += 1) await Promise.resolve();
      timers += 1;
    } while (this.#runNext(target));
    this.#moveTo(target);
    this.flush();
    await settlePromises();
  }

  /** One turn of the event loop: what is asked for meanwhile runs in the next one. */
  flush(): void {
    const turns = this.#turns;
    this.#turns = [];
    for (const callback of turns) callback();
  }

  #runNext(target: number): boolean {
    let next: PendingTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueAt <= target && (next === undefined || timer.dueAt < next.dueAt)) next = timer;
    }
    if (next === undefined) return false;
    this.#remove(next);
    this.#moveTo(next.dueAt);
    next.callback();
    this.flush();
    return true;
  }

  #moveTo(time: number): void {
    // A timer's callback may have moved time on itself.
    const passed = Math.max(0, time - this.#now);
    this.#now += passed;
    this.#wall += passed;
  }

  #remove(timer: PendingTimer): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }
}

/** So many timers are each followed by a real turn of the loop, and after them one of that many. */
const SETTLED_TIMERS = 2_000;
const SETTLED_EVERY = 200;
/** Turns of the queue of promises instead, which is as long as a call to the embedded server goes on. */
const MICROTASKS = 20;

/** A real turn of the loop: every promise that can settle without time passing has then done so. */
function settlePromises(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
