/** The time of a module under test: it stands still until it is told to pass, and then everything sees it pass. */
import { parseDuration, type Clock, type Duration, type Timer } from '../src/core/index.js';
import { FakeClock } from './fake-clock.js';

/** How fast time goes on by itself, with each millisecond there really is, and for how long at most. */
export interface Pace {
  readonly stepMs: number;
  readonly steps: number;
}

/** While connections are closed, of which none is a real one. */
const CLOSING: Pace = { stepMs: 100, steps: 600 };

export class TestClock implements Clock {
  readonly #fake: FakeClock;

  /** `startsAt` in milliseconds since 1970. */
  constructor(startsAt: number) {
    this.#fake = new FakeClock({ wallMs: startsAt });
  }

  now(): number {
    return this.#fake.now();
  }

  /** Milliseconds since 1970, as the module sees them. */
  wallNow(): number {
    return this.#fake.wallNow();
  }

  after(ms: number, callback: () => void): Timer {
    return this.#fake.after(ms, callback);
  }

  /** A turn of the event loop takes no time: it comes by itself. */
  turn(callback: () => void): void {
    setImmediate(callback);
  }

  /** Timers that have neither run nor been cancelled. */
  get pendingTimers(): number {
    return this.#fake.pendingTimers;
  }

  /**
   * Lets time pass: entries expire, leases and locks run out, limits refill, sessions grow old, tasks fall due. What
   * was waiting for a moment until then has run when this settles. A number counts seconds.
   */
  async advance(duration: Duration): Promise<void> {
    await this.#fake.advanceAsync(parseDuration(duration, 'advance'));
  }

  /** Sets the wall clock alone, as NTP or an operator does; nothing that measures may notice. */
  jumpWall(ms: number): void {
    this.#fake.jumpWall(ms);
  }

  /**
   * The same time for waits that nobody would end: after one turn of the loop, in which others may begin to wait
   * too, it goes on to the moment that was waited for. So a slow call takes its time, and its test does not hang.
   */
  readonly goingOn: Clock = {
    now: () => this.now(),
    wallNow: () => this.wallNow(),
    turn: (callback) => this.turn(callback),
    after: (ms, callback) => {
      const dueAt = this.now() + ms;
      let waiting = true;
      const timer = this.after(ms, () => {
        waiting = false;
        callback();
      });
      setImmediate(() => {
        if (waiting) this.#fake.advance(Math.max(0, dueAt - this.now()));
      });
      return {
        cancel: () => {
          waiting = false;
          timer.cancel();
        },
      };
    },
  };

  /** Who closes may first wait for what has to end, and nobody is left to move the clock. */
  goOnUntil(isOver: () => boolean, { stepMs, steps: most }: Pace = CLOSING): void {
    let steps = 0;
    const step = (): void => {
      if (isOver() || steps >= most) return;
      steps += 1;
      this.#fake.advance(stepMs);
      setTimeout(step, 1);
    };
    setTimeout(step, 1);
  }
}
