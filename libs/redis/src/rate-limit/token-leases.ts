/**
 * Tokens taken ahead: of a key that is asked for often, a process takes several at once and spends them without
 * a trip. They are charged when they are taken, so the rate is kept in the long run; within one window each
 * process may let through what it held at its beginning, which is at most the `lease` of the limit.
 *
 * How many are taken adapts: twice as many when the last ones were spent before their end, half when they were
 * not. What is left at the end is dropped.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/index.js';
import type { AskedLimit, Question } from './ask.js';
import type { TakeState } from './take.scripts.js';

interface Held {
  tokens: number;
  size: number;
  endsAt: number;
  /** As the server told it when the tokens were taken. */
  state: TakeState;
  takenAt: number;
  /** Somebody fetches more; everybody else waits for that. */
  fetching: Promise<void> | undefined;
}

export interface LeaseAnswer {
  readonly state: TakeState;
  /** Nobody was asked for it. */
  readonly own: boolean;
}

type Fetch = (want: number) => Promise<TakeState>;

/** Who takes several must have the time to spend them. */
const SHORTEST_MS = 200;
const MAX_KEYS = 10_000;

export class TokenLeases {
  readonly #clock: Clock;
  readonly #held = new LRUCache<string, Held>({ max: MAX_KEYS });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Without a trip where that is possible. */
  spend({ leased, leasePrint }: Question, now: number): TakeState | undefined {
    if (leased === undefined) return undefined;
    const { cost } = leased;
    const held = this.#held.get(leasePrint);
    if (held === undefined || held.tokens < cost || now >= held.endsAt) return undefined;
    held.tokens -= cost;
    return ownState(held, now - held.takenAt, cost);
  }

  async take(question: Question, asked: AskedLimit, fetch: Fetch): Promise<LeaseAnswer> {
    const print = question.leasePrint;
    for (;;) {
      const fetching = this.#held.get(print)?.fetching;
      if (fetching === undefined) return this.#fetch(print, asked, fetch);
      await fetching;
      const own = this.spend(question, this.#clock.now());
      if (own !== undefined) return { state: own, own: true };
      // Nothing came back to share: whoever waited asks for itself, together with the others who did.
      if (this.#held.get(print)?.state.verdict !== 'passed') return { state: await fetch(0), own: false };
    }
  }

  forget(): void {
    this.#held.clear();
  }

  async #fetch(print: string, asked: AskedLimit, fetch: Fetch): Promise<LeaseAnswer> {
    const { limit, cost } = asked;
    const last = this.#held.get(print);
    const askedAt = this.#clock.now();
    const size = nextSize(last, limit.lease, askedAt);
    const want = size > 1 ? Math.max(cost, size) : 0;
    const going = fetch(want);
    // Alone on its way it holds nobody up: as long as no more than the cost is taken, everybody asks.
    const fetching = want === 0 ? undefined : going.then(nothing, nothing);
    const held = last ?? { tokens: 0, size: 0, endsAt: 0, state: NO_STATE, takenAt: askedAt, fetching };
    held.fetching = fetching;
    this.#held.set(print, held);
    try {
      const state = await going;
      // Meanwhile somebody else may have brought tokens.
      if (want === 0 && held.tokens > 0) return { state, own: false };
      held.tokens = Math.max(0, state.charge - cost);
      held.size = size;
      held.state = state;
      held.takenAt = askedAt;
      held.endsAt = askedAt + Math.max(SHORTEST_MS, (size * limit.unit) / 1_000);
      return { state: { ...state, remaining: state.remaining + held.tokens }, own: false };
    } finally {
      if (held.fetching === fetching) held.fetching = undefined;
    }
  }
}

const NO_STATE: TakeState = { verdict: 'denied', remaining: 0, wait: 0, reset: 0, charge: 0 };

function nextSize(last: Held | undefined, most: number, now: number): number {
  if (last === undefined || last.size === 0) return 1;
  if (now < last.endsAt) return Math.min(most, last.size * 2);
  return Math.max(1, Math.floor(last.size / 2));
}

/** What Redis said when the tokens were taken, and what is left of them. */
function ownState(held: Held, passedMs: number, charge: number): TakeState {
  const { state, tokens } = held;
  const less = (micros: number): number => Math.max(0, micros - passedMs * 1_000);
  return {
    verdict: 'passed',
    remaining: state.remaining + tokens,
    wait: less(state.wait),
    reset: less(state.reset),
    charge,
  };
}

function nothing(): void {
  // Whoever waited for the tokens looks again.
}
