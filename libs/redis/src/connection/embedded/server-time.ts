/**
 * The clock of the embedded server: wall time at its start, and from there on the monotonic clock. Somebody
 * who sets the machine's clock back or forth neither expires entries nor keeps them alive.
 */
import type { Clock } from '../../core/index.js';

export class ServerTime {
  readonly #clock: Clock;
  readonly #offset: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offset = clock.wallNow() - clock.now();
  }

  /** Milliseconds since 1970, with a fraction. */
  now(): number {
    return this.#clock.now() + this.#offset;
  }
}
