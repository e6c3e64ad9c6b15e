/**
 * How many retries one node may be sent, over all its callers. Without it, three tries per call mean three
 * times the load at the very moment the server is in trouble.
 *
 * Tokens are earned in two ways, and a retry costs one:
 * - a success earns `ratio` of a token;
 * - a floor of one token per second, but never more than half of `ratio` per call seen, lets retries go on
 *   while nothing succeeds. A floor by time alone would double the load of a caller that calls once a second.
 *
 * The bound. With one token to start with, after n calls that all fail at whatever pace,
 *
 *     retries <= floor(1 + n * ratio / 2) <= ratio * n    for every n >= 1 / ratio
 *
 * so the amplification (n + retries) / n is at most 1 + ratio: 1.1 by default, from the tenth call on, and
 * 1.05 in the long run. When an outage meets a full bucket, 10 saved tokens and 1 of saved floor come on top
 * and the same holds from n = 22 / ratio calls on (220 by default).
 */
import { systemClock, type Clock } from '../core/index.js';
import { InvalidRetryOptionsError } from './resilience.errors.js';

export interface RetryBudgetOptions {
  /** Retries earned per call that succeeds, 0 to 1; `0` forbids them all. */
  readonly ratio: number;
}

/** Counted in millionths of a token: ten times 0.1 is less than 1 in floating point. */
const TOKEN = 1_000_000;
const MAX_TOKENS = 10 * TOKEN;
const FLOOR_PER_MS = TOKEN / 1_000;
/** Calls of the past may pay for one token of floor, or a burst would pay for an hour of doubled load. */
const MAX_FLOOR_SAVED = TOKEN;

export class RetryBudget {
  readonly #perSuccess: number;
  readonly #floorPerCall: number;
  readonly #clock: Clock;
  #tokens: number;
  #floorSaved = 0;
  #refilledAt: number;

  constructor({ ratio }: RetryBudgetOptions, clock: Clock = systemClock) {
    if (!(ratio >= 0 && ratio <= 1)) {
      throw new InvalidRetryOptionsError(`retry.budget: ${String(ratio)} is not a share from 0 to 1`, {
        hint: 'give the retries allowed per call that succeeds, for example 0.1, or 0 for none',
      });
    }
    this.#perSuccess = Math.round(ratio * TOKEN);
    this.#floorPerCall = Math.floor(this.#perSuccess / 2);
    this.#clock = clock;
    this.#tokens = ratio === 0 ? 0 : TOKEN;
    this.#refilledAt = clock.now();
  }

  /** Once per call, however often it is tried: what the floor is measured against. */
  onCall(): void {
    this.#floorSaved = Math.min(MAX_FLOOR_SAVED, this.#floorSaved + this.#floorPerCall);
  }

  onSuccess(): void {
    this.#tokens = Math.min(MAX_TOKENS, this.#tokens + this.#perSuccess);
  }

  /** Takes a token for one retry; `false` when there is none, and then the call has failed. */
  tryTake(): boolean {
    this.#refill();
    if (this.#tokens < TOKEN) return false;
    this.#tokens -= TOKEN;
    return true;
  }

  get tokens(): number {
    this.#refill();
    return this.#tokens / TOKEN;
  }

  #refill(): void {
    const now = this.#clock.now();
    const earned = Math.floor((now - this.#refilledAt) * FLOOR_PER_MS);
    if (earned <= 0) return;
    this.#refilledAt = now;
    const granted = Math.min(earned, this.#floorSaved);
    this.#floorSaved -= granted;
    this.#tokens = Math.min(MAX_TOKENS, this.#tokens + granted);
  }
}
