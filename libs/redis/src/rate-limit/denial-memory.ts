/**
 * Denials this process remembers, so that a flood from one subject costs it a look into a map and Redis nothing.
 * Bounded in number, or a client that changes its name with every request would fill the heap, and in time, so
 * that a refund or a reset by another process is seen soon.
 */
import { LRUCache } from 'lru-cache';
import type { LimitState } from './decision.js';

interface Denial {
  readonly states: readonly LimitState[];
  readonly sinceMs: number;
  readonly untilMs: number;
}

export class DenialMemory {
  readonly #longestMs: number;
  readonly #denials: LRUCache<string, Denial>;

  constructor({ maxEntries, longestMs }: { maxEntries: number; longestMs: number }) {
    this.#longestMs = longestMs;
    this.#denials = new LRUCache({ max: maxEntries });
  }

  get size(): number {
    return this.#denials.size;
  }

  /** `askedAtMs` is when the question left: counting from there the wait never ends late. */
  remember(print: string, states: readonly LimitState[], askedAtMs: number): void {
    let waitMs = 0;
    for (const { passed, retryAfterMs, algorithm } of states) {
      if (passed) continue;
      // Places come free at any moment.
      if (algorithm === 'concurrency') return;
      waitMs = Math.max(waitMs, retryAfterMs);
    }
    if (waitMs <= 0) return;
    const untilMs = askedAtMs + Math.min(waitMs, this.#longestMs);
    this.#denials.set(print, { states, sinceMs: askedAtMs, untilMs });
  }

  /** The states of a denial that still holds, with the waits as they are now. */
  recall(print: string, now: number): readonly LimitState[] | undefined {
    const denial = this.#denials.get(print);
    if (denial === undefined) return undefined;
    if (now >= denial.untilMs) {
      this.#denials.delete(print);
      return undefined;
    }
    const passedMs = now - denial.sinceMs;
    return denial.states.map((state) => aged(state, passedMs));
  }

  /** Everything: a print names keys, costs and terms, and a refund concerns all that share a key. */
  clear(): void {
    this.#denials.clear();
  }
}

function aged(state: LimitState, passedMs: number): LimitState {
  const less = (ms: number): number => Math.max(0, ms - passedMs);
  return {
    ...state,
    retryAfterMs: less(state.retryAfterMs),
    moreAfterMs: less(state.moreAfterMs),
    resetAfterMs: less(state.resetAfterMs),
  };
}
