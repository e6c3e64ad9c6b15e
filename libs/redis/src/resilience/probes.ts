/**
 * The few calls a half-open breaker lets through. Each has a permit of its own, so that one which was given
 * up on cannot speak for another when it answers after all.
 */

interface Slot {
  permit: number;
  startedAt: number;
}

const FREE = -1;

export class Probes {
  readonly #slots: readonly Slot[];
  readonly #forgetAfterMs: number;
  #successes = 0;

  constructor(limit: number, forgetAfterMs: number) {
    this.#slots = Array.from({ length: limit }, () => ({ permit: FREE, startedAt: 0 }));
    this.#forgetAfterMs = forgetAfterMs;
  }

  /** Notes a probe under way; `false` when as many as may be are. One that never answered makes room. */
  start(permit: number, now: number): boolean {
    for (const slot of this.#slots) {
      if (slot.permit !== FREE && !this.#isForgotten(slot, now)) continue;
      slot.permit = permit;
      slot.startedAt = now;
      return true;
    }
    return false;
  }

  /** Ends a probe; `false` when it is none of these or was given up on, and then its answer says nothing. */
  end(permit: number, now: number): boolean {
    for (const slot of this.#slots) {
      if (slot.permit !== permit || permit === FREE) continue;
      slot.permit = FREE;
      return !this.#isForgotten(slot, now);
    }
    return false;
  }

  /** Counts one that answered well, and says how many have. */
  succeeded(): number {
    this.#successes += 1;
    return this.#successes;
  }

  #isForgotten(slot: Slot, now: number): boolean {
    return now - slot.startedAt >= this.#forgetAfterMs;
  }
}
