/**
 * Places that Redis has to take back. What it does not, being away, is offered again until it would have fallen free
 * by itself.
 */
import type { RedisClient } from '../connection/index.js';
import type { Clock, Timer } from '../core/index.js';
import { releasePlacesScript } from './place.scripts.js';

export interface Debt {
  readonly client: RedisClient;
  readonly key: string;
  readonly holder: string;
  readonly untilMs: number;
  /** A script that takes it may be on its way behind what gives it back, over a connection that was lost. */
  isInDoubt: boolean;
}

const OFFER_AGAIN_MS = 1_000;

/** Beyond these the oldest fall free by themselves: an outage is no reason to fill the heap. */
const MAX_DEBTS = 10_000;

/** As many as go into one call without holding the server up. */
const DEBTS_OF_A_CALL = 500;

export class OwedPlaces {
  readonly #clock: Clock;
  readonly #debts = new Set<Debt>();
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#debts.size;
  }

  /** All of one client and key. Never rejects: what is not taken back is owed from then on. */
  async giveBack(debts: readonly Debt[]): Promise<void> {
    const [first] = debts;
    if (first === undefined) return;
    let taken = 0;
    try {
      const holders = debts.map(({ holder }) => holder);
      taken = await first.client.run(releasePlacesScript, [first.key], { holders });
    } catch {
      for (const debt of debts) this.#owe(debt);
      return;
    }
    if (taken === debts.length) return;
    for (const debt of debts) {
      if (!debt.isInDoubt) continue;
      debt.isInDoubt = false;
      this.#owe(debt);
    }
  }

  /** Offers once more what is owed, and nothing after that. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#offer();
  }

  #owe(debt: Debt): void {
    if (this.#isClosed || this.#clock.now() >= debt.untilMs) return;
    this.#debts.add(debt);
    const [oldest] = this.#debts;
    if (this.#debts.size > MAX_DEBTS && oldest !== undefined) this.#debts.delete(oldest);
    this.#timer ??= this.#clock.after(OFFER_AGAIN_MS, () => {
      this.#timer = undefined;
      void this.#offer();
    });
  }

  async #offer(): Promise<void> {
    const debts = [...this.#debts];
    this.#debts.clear();
    await Promise.all(groupsOf(debts).map((group) => this.giveBack(group)));
  }
}

function groupsOf(debts: readonly Debt[]): readonly Debt[][] {
  const all: Debt[][] = [];
  const open = new Map<string, Debt[]>();
  for (const debt of debts) {
    const home = `${debt.client.name}|${debt.key}`;
    const group = open.get(home);
    if (group === undefined || group.length >= DEBTS_OF_A_CALL) {
      const begun = [debt];
      all.push(begun);
      open.set(home, begun);
    } else group.push(debt);
  }
  return all;
}
