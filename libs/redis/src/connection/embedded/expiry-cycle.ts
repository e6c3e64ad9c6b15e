/**
 * Removes what has expired without being asked for. Reads do it on their own; this is for entries nobody
 * reads any more, which would otherwise fill the memory until eviction.
 *
 * It sleeps until the soonest expiry, and its timer never keeps the process alive.
 */
import type { Clock, Timer } from '../../core/index.js';
import type { Keyspace } from './keyspace.js';
import type { ServerTime } from './server-time.js';

const AT_MOST_EVERY_MS = 100;
/** A timer for longer would overflow `setTimeout`'s 31 bits. */
const LONGEST_SLEEP_MS = 3_600_000;
/** Places looked at in one go, some tens of microseconds of work. */
const BATCH = 1_000;
/** Go on at once while so many of a batch had expired … */
const WORTH_GOING_ON = BATCH / 10;
/** … but do not hold the event loop for longer than this many batches. */
const MOST_BATCHES = 20;

export class ExpiryCycle {
  readonly #keyspace: Keyspace;
  readonly #clock: Clock;
  readonly #time: ServerTime;
  #timer: Timer | undefined;
  /** When the timer fires, by the server's clock. */
  #dueAt = 0;
  /** The last turn stopped in the middle of the table. */
  #underWay = false;
  #stopped = false;

  constructor(keyspace: Keyspace, { clock, time }: { clock: Clock; time: ServerTime }) {
    this.#keyspace = keyspace;
    this.#clock = clock;
    this.#time = time;
  }

  /** Called after every command: sets the timer, or sets it earlier. */
  wake(): void {
    if (this.#stopped || this.#keyspace.volatileCount === 0) return;
    const dueAt = this.#nextTurn();
    if (this.#timer !== undefined && dueAt >= this.#dueAt - AT_MOST_EVERY_MS) return;
    this.#timer?.cancel();
    this.#dueAt = dueAt;
    this.#timer = this.#clock.after(dueAt - this.#keyspace.now, () => this.#turn());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #nextTurn(): number {
    const { now, soonestExpiry } = this.#keyspace;
    const wanted = this.#underWay ? now : Math.min(soonestExpiry + 1, now + LONGEST_SLEEP_MS);
    return Math.max(wanted, now + AT_MOST_EVERY_MS);
  }

  #turn(): void {
    this.#timer = undefined;
    this.#keyspace.advanceTo(this.#time.now());
    for (let batch = 0; batch < MOST_BATCHES; batch += 1) {
      const { removed, passEnded } = this.#keyspace.sweep(BATCH);
      this.#underWay = !passEnded;
      if (passEnded || removed < WORTH_GOING_ON) break;
    }
    this.wake();
  }
}
