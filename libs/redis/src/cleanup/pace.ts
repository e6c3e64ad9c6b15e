/** How fast a run may go: so many keys in a second, and slower where the server is slow. */
import { sleep, type Clock } from '../core/index.js';

export interface PaceOptions {
  readonly budgetPerSecond: number;
  readonly maxLatencyMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** Steps small enough that nobody waits for one. */
const PAGES_PER_SECOND = 100;
const TIMERS_ARE_LATE_MS = 20;
const [SMALLEST_PAGE, LARGEST_PAGE] = [10, 100] as const;

export class Pace {
  readonly #options: PaceOptions;
  /** When the next step may begin. */
  #dueAt: number;
  #pauseMs = 0;
  #pausedMs = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#dueAt = options.clock.now();
  }

  /** Keys for one round trip. */
  get page(): number {
    const wanted = Math.round(this.#options.budgetPerSecond / PAGES_PER_SECOND);
    return Math.min(LARGEST_PAGE, Math.max(SMALLEST_PAGE, wanted));
  }

  /** Waited for slow servers so far. */
  get pausedMs(): number {
    return this.#pausedMs;
  }

  /** Waits until so many keys more may be looked at, after a round trip that took so long. */
  async step(keys: number, latencyMs: number): Promise<void> {
    const { budgetPerSecond, clock } = this.#options;
    await this.#restIfSlow(latencyMs);
    const now = clock.now();
    // Timers are late and that is made up for; what was not used in a pause is not.
    this.#dueAt = Math.max(this.#dueAt, now - TIMERS_ARE_LATE_MS) + (keys * 1_000) / budgetPerSecond;
    if (this.#dueAt > now) await this.#wait(this.#dueAt - now);
  }

  /** Each round trip that is too slow again makes the pause after it longer; it is the probe for the next one, too. */
  async #restIfSlow(latencyMs: number): Promise<void> {
    if (latencyMs <= this.#options.maxLatencyMs) {
      this.#pauseMs = 0;
      return;
    }
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, this.#pauseMs * 2));
    this.#pausedMs += this.#pauseMs;
    await this.#wait(this.#pauseMs);
  }

  #wait(ms: number): Promise<void> {
    const { clock, signal } = this.#options;
    return sleep(ms, { clock, signal });
  }
}
