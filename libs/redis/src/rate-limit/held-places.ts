/**
 * Places this process holds in `'concurrency'` limits. Each is renewed three times in its life, so that only the
 * death of the process gives it away; what was not given back is given back at the end.
 */
import { randomBytes } from 'node:crypto';
import type { RedisClient } from '../connection/index.js';
import type { Clock, Timer } from '../core/index.js';
import { OwedPlaces } from './owed-places.js';
import { renewPlacesScript } from './place.scripts.js';

interface Place {
  readonly client: RedisClient;
  readonly key: string;
  readonly holder: string;
  readonly holdMs: number;
  renewAt: number;
}

/** Who asks for the outcome of a renewal: a place that is gone has been given to somebody else. */
export type OnPlaceLost = () => void;

export class HeldPlaces {
  readonly #clock: Clock;
  readonly #onLost: OnPlaceLost;
  readonly #places = new Set<Place>();
  readonly #debts: OwedPlaces;
  #timer: Timer | undefined;
  #timerAt = Infinity;

  constructor(clock: Clock, onLost: OnPlaceLost) {
    this.#clock = clock;
    this.#onLost = onLost;
    this.#debts = new OwedPlaces(clock);
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
    void this.#debts.giveBack([{ client, key, holder, untilMs, isInDoubt: true }]);
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    const places = [...this.#places];
    this.#places.clear();
    await Promise.all([...places.map((place) => this.#release(place)), this.#debts.close()]);
  }

  #release({ client, key, holder, holdMs }: Place): Promise<void> {
    const untilMs = this.#clock.now() + holdMs;
    return this.#debts.giveBack([{ client, key, holder, untilMs, isInDoubt: false }]);
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
