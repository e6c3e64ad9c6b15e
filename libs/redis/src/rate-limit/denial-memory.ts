/**
 * Denials this process remembers, so that a flood from one subject costs it a look into a map and Redis nothing.
 * Bounded in number, or a client that changes its name with every request would fill the heap, and in time, so
 * that a refund or a reset by another process is seen soon.
 */
import { LRUCache } from 'lru-cache';
import type { Question } from './ask.js';
import { decide, type DecisionSource, type LimitState, type RateDecision } from './decision.js';
import type { HeaderField } from './rate-headers.js';

/** What one client after the other is told of the same denial, as long as no number in it changes. */
interface DenialAnswer {
  readonly untilMs: number;
  readonly fields: readonly HeaderField[];
  problem: string | undefined;
}

interface Denial {
  readonly states: readonly LimitState[];
  readonly sinceMs: number;
  readonly untilMs: number;
  answer: DenialAnswer | undefined;
}

/** A denial that is remembered, with the waits as they are now. */
export class RememberedDecision implements RateDecision {
  readonly allowed = false;
  readonly source: DecisionSource = 'denial';
  readonly limits: readonly LimitState[];
  readonly violated: readonly string[];
  readonly retryAfterMs: number;
  readonly #denial: Denial;
  readonly #now: number;

  constructor(denial: Denial, now: number) {
    const passedMs = now - denial.sinceMs;
    const { limits, violated, retryAfterMs } = decide({
      limits: denial.states.map((state) => aged(state, passedMs)),
      source: 'denial',
    });
    this.limits = limits;
    this.violated = violated;
    this.retryAfterMs = retryAfterMs;
    this.#denial = denial;
    this.#now = now;
  }

  /** Nothing was taken. */
  release(): Promise<void> {
    return Promise.resolve();
  }

  /** Made anew when a second has begun for one of the numbers, which are whole seconds. */
  answer(make: (decision: RateDecision) => readonly HeaderField[]): readonly HeaderField[] {
    const known = this.#denial.answer;
    if (known !== undefined && this.#now < known.untilMs) return known.fields;
    const fields = make(this);
    this.#denial.answer = { untilMs: this.#now + untilNextSecond(this), fields, problem: undefined };
    return fields;
  }

  /** The text of the problem, kept as long as {@link answer}: the only number in it is one of those. */
  problem(make: () => string): string {
    const known = this.#denial.answer;
    if (known === undefined || this.#now >= known.untilMs) return make();
    known.problem ??= make();
    return known.problem;
  }
}

/** Milliseconds for which all waits, rounded up to seconds, stay what they are. */
function untilNextSecond({ limits }: RateDecision): number {
  let least = Infinity;
  for (const { retryAfterMs, moreAfterMs, resetAfterMs } of limits) {
    for (const wait of [retryAfterMs, moreAfterMs, resetAfterMs]) {
      if (Number.isFinite(wait) && wait > 0)
        least = Math.min(least, wait - (Math.ceil(wait / 1_000) - 1) * 1_000);
    }
  }
  return least;
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
  remember(question: Question, { limits: states }: RateDecision, askedAtMs: number): void {
    let waitMs = 0;
    for (const { passed, retryAfterMs, algorithm } of states) {
      if (passed) continue;
      // Places come free at any moment.
      if (algorithm === 'concurrency') return;
      waitMs = Math.max(waitMs, retryAfterMs);
    }
    if (waitMs <= 0) return;
    const untilMs = askedAtMs + Math.min(waitMs, this.#longestMs);
    this.#denials.set(question.print, { states, sinceMs: askedAtMs, untilMs, answer: undefined });
  }

  recall(question: Question, now: number): RememberedDecision | undefined {
    if (this.#denials.size === 0) return undefined;
    const denial = this.#denials.get(question.print);
    if (denial === undefined) return undefined;
    if (now < denial.untilMs) return new RememberedDecision(denial, now);
    this.#denials.delete(question.print);
    return undefined;
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
