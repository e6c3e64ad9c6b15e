/** Notes when this process did not get to run: a lag that a machine makes is not one of the cache. */

const TICK_MS = 5;
/** Timers are that unpunctual by themselves. */
const SHORTEST_US = 10_000;

/** Of the machine's monotonic clock, which all its processes share. */
export const microseconds = (): number => Number(process.hrtime.bigint() / 1_000n);

export class StallMeter {
  readonly #timer: NodeJS.Timeout;
  #stalls: number[] = [];
  #due = microseconds() + TICK_MS * 1_000;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** @returns flat pairs of when a tick was due and when it came, of those that came late since the last call */
  take(): readonly number[] {
    // The timer itself may not have got to run yet.
    if (microseconds() > this.#due) this.#tick();
    const taken = this.#stalls;
    this.#stalls = [];
    return taken;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = microseconds();
    if (now - this.#due > SHORTEST_US) this.#stalls.push(this.#due, now);
    this.#due = now + TICK_MS * 1_000;
  }
}
