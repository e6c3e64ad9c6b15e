/**
 * The clocks of tags, held in this process while Redis announces their changes: a tagged hit then asks nobody.
 * A clock that does not exist is held as such, since its creation is announced too. While nothing is announced
 * they judge what is in doubt (memory-store.ts), and nothing else.
 */
import { systemClock, type Clock, type Timer } from '../../core/index.js';
import { isAnnouncedByName } from './announced-names.js';
import { EpochTable } from './l1-epochs.js';
import type { Follower, L1Tracking } from './l1-tracking.js';
import type { TagClocks } from '../tag-clocks.js';

export interface TrackedTagsOptions {
  readonly tracking: L1Tracking;
  /** Beginning of the keys of all tag clocks. */
  readonly prefix: string;
  /** Beyond it those asked for first go first. @default 50_000 */
  readonly maxTags?: number;
  readonly clock?: Clock | undefined;
}

const MAX_TAGS = 50_000;

/** One for all caches of a namespace, as they share their tags. */
export class TrackedTags implements Follower {
  readonly prefix: string;
  readonly #tracking: L1Tracking;
  readonly #maxTags: number;
  readonly #known = new Map<string, number>();
  readonly #epochs = new EpochTable();
  readonly #clock: Clock;
  #inDoubt = false;
  /** The longest a clock is held. */
  #lifeMs = Infinity;
  #ending: Timer | undefined;

  constructor({ tracking, prefix, maxTags = MAX_TAGS, clock = systemClock }: TrackedTagsOptions) {
    this.prefix = prefix;
    this.#tracking = tracking;
    this.#maxTags = maxTags;
    this.#clock = clock;
    tracking.follow(this);
  }

  get size(): number {
    return this.#inDoubt ? 0 : this.#known.size;
  }

  /** For what is held from now on: never longer than that. */
  limitLife(ms: number): void {
    this.#lifeMs = ms;
  }

  /** These clocks, asked for below only when they are not held. */
  over(inner: TagClocks): TagClocks {
    return {
      read: (keys) => this.#read(keys, inner),
      invalidate: (key) => {
        this.invalidate(key);
        inner.invalidate?.(key);
      },
      held: (key) => (this.#tracking.active ? this.#known.get(key) : undefined),
      announce: (keys) => this.#tracking.announce(keys),
      lastKnown: (keys) => this.#lastKnown(keys),
    };
  }

  /** Also to be called when this process has moved a clock: its callers are owed that now, not a hop later. */
  invalidate(key: string): void {
    this.#epochs.invalidate(key);
    this.#known.delete(key);
  }

  invalidateAll(): void {
    this.#epochs.invalidateAll();
    this.#known.clear();
    this.#inDoubt = false;
    this.#ending?.cancel();
    this.#ending = undefined;
  }

  doubt(): void {
    this.#epochs.invalidateAll();
    this.#inDoubt = true;
  }

  #read(keys: readonly string[], inner: TagClocks): readonly number[] | Promise<readonly number[]> {
    if (!this.#tracking.active)
      return this.#inDoubt && this.#known.size > 0 ? this.#readInDoubt(keys, inner) : inner.read(keys);
    const clocks: number[] = [];
    for (const key of keys) {
      const clock = this.#known.get(key);
      if (clock === undefined) return this.#learn(keys, inner);
      clocks.push(clock);
    }
    return clocks;
  }

  /** Asks for all of them anew: a tag that is known costs nothing more in the same round trip. */
  async #learn(keys: readonly string[], inner: TagClocks): Promise<readonly number[]> {
    const since = this.#epochs.now();
    const clocks = await inner.read(keys);
    keys.forEach((key, i) => {
      const clock = clocks[i];
      if (clock === undefined || !this.#epochs.unchangedSince(since, key)) return;
      if (!isAnnouncedByName(key)) return;
      this.#makeRoom(key);
      this.#known.set(key, clock);
    });
    if (this.#known.size > 0 && this.#lifeMs !== Infinity) this.#endInTime();
    return clocks;
  }

  /** All at once, so that a hit has no time to look at. In doubt they are what was known last, and stay. */
  #endInTime(): void {
    this.#ending ??= this.#clock.after(this.#lifeMs, () => {
      this.#ending = undefined;
      if (!this.#inDoubt) this.invalidateAll();
    });
  }

  /** What Redis says of a clock in doubt counts for the copies in doubt too. */
  async #readInDoubt(keys: readonly string[], inner: TagClocks): Promise<readonly number[]> {
    const since = this.#epochs.now();
    const clocks = await inner.read(keys);
    keys.forEach((key, i) => {
      const clock = clocks[i];
      if (clock === undefined || !this.#known.has(key)) return;
      if (this.#epochs.unchangedSince(since, key)) this.#known.set(key, clock);
    });
    return clocks;
  }

  /** All of them or nothing: a clock that this process has moved, or tried to, is not known any more. */
  #lastKnown(keys: readonly string[]): readonly number[] | undefined {
    if (!this.#inDoubt) return undefined;
    const clocks: number[] = [];
    for (const key of keys) {
      const clock = this.#known.get(key);
      if (clock === undefined) return undefined;
      clocks.push(clock);
    }
    return clocks;
  }

  #makeRoom(key: string): void {
    if (this.#known.size < this.#maxTags || this.#known.has(key)) return;
    const [first] = this.#known.keys();
    if (first !== undefined) this.#known.delete(first);
  }
}
