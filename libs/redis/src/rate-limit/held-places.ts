/**
 * Places this process holds in `'concurrency'` limits. Each is renewed three times in its life, so that only the
 * death of the process gives it away; what was not given back is given back at the end. What Redis did not take
 * back, being away, is owed, and offered again until it would have fallen free by itself.
 */
import { randomBytes } from 'node:crypto';
import type { RedisClient } from '../connection/index.js';
import type { Clock, Timer } from '../core/index.js';
import { releasePlacesScript, renewPlacesScript } from './place.scripts.js';

interface Place {
  readonly client: RedisClient;
  readonly key: string;
  readonly holder: string;
  readonly holdMs: number;
  renewAt: number;
}

/** A place to be given back: whether it was ever taken may not be known. */
interface Debt {
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

/** Who asks for the outcome of a renewal: a place that is gone has been given to somebody else. */
export type OnPlaceLost = () => void;

export class HeldPlaces {
  readonly #clock: Clock;
  readonly #onLost: OnPlaceLost;
  readonly #places = new Set<Place>();
  readonly #debts = new Set<Debt>();
  #timer: Timer | undefined;
  #timerAt = Infinity;
  #offering: Timer | undefined;
  #isClosed = false;

  constructor(clock: Clock, onLost: OnPlaceLost) {
    this.#clock = clock;
    this.#onLost = onLost;
  }

  get size(): number {
    return this.#places.size;
  }

  newHolder(): string {
    return randomBytes(12).toString('base64url');
  }

  /** Keeps a place that was taken; the returned function gives it back, once. */
  keep(client: RedisClient, key: string, holder: string, holdMs: number): () => Promise<void> {
    const place: Place = { client, key, holder, holdMs, renewAt: this.#clock.now() + holdMs / 3 };
    this.#places.add(place);
    this.#arm();
    return async () => {
      if (this.#places.delete(place)) await this.#release(place);
    };
  }

  /** A place that was asked for, of which nobody knows whether it was taken. */
  giveUp(client: RedisClient, key: string, holder: string, holdMs: number): void {
    const untilMs = this.#clock.now() + holdMs;
    void this.#giveBack([{ client, key, holder, untilMs, isInDoubt: true }]);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#offering?.cancel();
    this.#timer = this.#offering = undefined;
    const places = [...this.#places];
    const debts = [...this.#debts];
    this.#places.clear();
    this.#debts.clear();
    await Promise.all([
      ...places.map((place) => this.#release(place)),
      ...groupsOf(debts).map((group) => this.#giveBack(group)),
    ]);
  }

  #release({ client, key, holder, holdMs }: Place): Promise<void> {
    const untilMs = this.#clock.now() + holdMs;
    return this.#giveBack([{ client, key, holder, untilMs, isInDoubt: false }]);
  }

  /** All of one client and key. */
  async #giveBack(debts: readonly Debt[]): Promise<void> {
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

  #owe(debt: Debt): void {
    if (this.#isClosed || this.#clock.now() >= debt.untilMs) return;
    this.#debts.add(debt);
    const [oldest] = this.#debts;
    if (this.#debts.size > MAX_DEBTS && oldest !== undefined) this.#debts.delete(oldest);
    this.#offering ??= this.#clock.after(OFFER_AGAIN_MS, () => this.#offerAgain());
  }

  #offerAgain(): void {
    this.#offering = undefined;
    const debts = [...this.#debts];
    this.#debts.clear();
    for (const group of groupsOf(debts)) void this.#giveBack(group);
  }

  #arm(): void {
    let next = Infinity;
    for (const { renewAt } of this.#places) next = Math.min(next, renewAt);
    if (next === Infinity || (this.#timer !== undefined && this.#timerAt <= next)) return;
    this.#timer?.cancel();
    this.#timerAt = next;
    this.#timer = this.#clock.after(Math.max(0, next - this.#clock.now()), () => this.#renewDue());
  }

  #renewDue(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    const groups = new Map<string, Place[]>();
    for (const place of this.#places) {
      // Those that will be due soon go with them: one call for many places of a key.
      if (place.renewAt > now + place.holdMs / 6) continue;
      place.renewAt = now + place.holdMs / 3;
      const group = `${place.client.name}|${place.holdMs}|${place.key}`;
      groups.set(group, [...(groups.get(group) ?? []), place]);
    }
    for (const places of groups.values()) void this.#renew(places);
    this.#arm();
  }

  async #renew(places: readonly Place[]): Promise<void> {
    const [first] = places;
    if (first === undefined) return;
    const args = { holders: places.map(({ holder }) => holder), holdMs: first.holdMs };
    try {
      const kept = await first.client.run(renewPlacesScript, [first.key], args);
      for (const [i, place] of places.entries()) {
        if (kept[i] !== true && this.#places.delete(place)) this.#onLost();
      }
    } catch {
      // The next renewal is due before the place is lost, and nobody else can tell more than it.
    }
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
