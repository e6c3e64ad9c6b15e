/**
 * Whether everything was heard that others have told. Each of them counts; a number that does not come, or one
 * of them falling silent, means that a change may have passed by.
 *
 * A number may be late without being lost: connections of a pool and nodes of a cluster keep no order between
 * them. So a hole is given a moment to fill.
 */
import type { Clock, Timer } from '../../core/index.js';

export interface BusSendersOptions {
  readonly clock: Clock;
  /** Something may have passed by: whatever is held may be out of date. */
  onGap(why: string): void;
}

interface Sender {
  /** The greatest number heard of. */
  last: number;
  heardAt: number;
  /** Numbers up to `last` that have not come, and since when they are missed: the first for longest. */
  readonly missing: Map<number, number>;
}

/** How late a number may be. */
export const LATE_MS = 50;
/** A sender that crashed, or can not be heard, is noticed after that: well above any pause for garbage. */
export const SILENT_MS = 3_000;
/** More than that at once is no matter of order. */
const LARGEST_HOLE = 1_000;

export class BusSenders {
  readonly #options: BusSendersOptions;
  readonly #senders = new Map<string, Sender>();
  #timer: Timer | undefined;

  constructor(options: BusSendersOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#senders.size;
  }

  /** `count` is the number of this message, or, with `includes` false, of the last one before it. */
  heard(origin: string, count: number, includes: boolean): void {
    const now = this.#options.clock.now();
    const sender = this.#senders.get(origin);
    if (sender === undefined) {
      this.#senders.set(origin, { last: count, heardAt: now, missing: new Map() });
      // Whoever is not known yet may have told something between our subscribing and this.
      if (count > (includes ? 1 : 0)) this.#options.onGap('a process was heard for the first time');
      return;
    }
    sender.heardAt = now;
    if (count <= sender.last) {
      if (includes) sender.missing.delete(count);
      return;
    }
    this.#note(sender, { from: sender.last + 1, to: includes ? count - 1 : count, now });
    sender.last = count;
  }

  /** It leaves, and has told so much. */
  left(origin: string, count: number): void {
    const sender = this.#senders.get(origin);
    this.#senders.delete(origin);
    if (sender !== undefined && (sender.last < count || sender.missing.size > 0)) {
      this.#options.onGap('a process left, and not everything it told was heard');
    }
  }

  /** To be called from time to time. */
  check(): void {
    const now = this.#options.clock.now();
    for (const [origin, sender] of this.#senders) {
      if (now - sender.heardAt >= SILENT_MS) {
        this.#senders.delete(origin);
        this.#options.onGap('a process has fallen silent');
      }
      for (const since of sender.missing.values()) {
        if (now - since < LATE_MS) continue;
        sender.missing.clear();
        this.#options.onGap('an announcement did not come');
      }
    }
  }

  reset(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#senders.clear();
  }

  #note(sender: Sender, { from, to, now }: { from: number; to: number; now: number }): void {
    if (to < from) return;
    if (to - from >= LARGEST_HOLE) {
      this.#options.onGap('many announcements did not come');
      return;
    }
    for (let count = from; count <= to; count += 1) sender.missing.set(count, now);
    this.#watch();
  }

  /** Until the hole that has been there for longest is too old; then the next one has its turn. */
  #watch(): void {
    const since = this.#missingSince();
    if (this.#timer !== undefined || since === Infinity) return;
    const { clock } = this.#options;
    this.#timer = clock.after(Math.max(0, since + LATE_MS - clock.now()), () => {
      // What has arrived by now and was not read yet is not late.
      clock.turn(() => {
        this.#timer = undefined;
        this.check();
        this.#watch();
      });
    });
  }

  #missingSince(): number {
    let earliest = Infinity;
    for (const { missing } of this.#senders.values()) {
      const [since = Infinity] = missing.values();
      earliest = Math.min(earliest, since);
    }
    return earliest;
  }
}
