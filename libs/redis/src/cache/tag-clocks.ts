/**
 * The logical clocks that invalidations move. An entry counts while no clock of its tags is greater than its
 * own, so nothing has to be deleted to invalidate it, and no wall clock is asked.
 */
import type { RedisClient } from '../connection/index.js';

/** There is no such clock. */
export const NO_CLOCK = -1;

/** A question that has left. */
export interface Asked {
  readonly answer: Promise<readonly number[]>;
  /** The answer, as soon as it is there. */
  readonly clocks: readonly number[] | undefined;
}

export interface TagClocks {
  /** The clocks under these keys, in their order; an array when they are held in this process. */
  read(keys: readonly string[]): readonly number[] | Promise<readonly number[]>;
  /** As `read`, for those who wait for something else that left with it, and will then look whether it is there. */
  ask?(keys: readonly string[]): Asked;
  /** The clock under this key if it is held in this process; nothing is asked for it. */
  held?(key: string): number | undefined;
  /** This process has moved that clock: what is held of it is old, before Redis says so. */
  invalidate?(key: string): void;
  /** Tells other processes that these have moved; to be awaited before that is acknowledged. */
  announce?(keys: readonly string[]): Promise<void> | undefined;
  /** What they were when changes could last be followed, or undefined; for when Redis does not answer. */
  lastKnown?(keys: readonly string[]): readonly number[] | undefined;
}

/**
 * The greatest clock this process has seen. Whatever begins now may be stamped with it: an invalidation that
 * begins later gets a greater one.
 */
export class SeenClock {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  observe(clock: number): void {
    if (clock > this.#value) this.#value = clock;
  }
}

/** Reads from Redis. Who asks for the same clock in the same tick shares one question. */
export class RedisTagClocks implements TagClocks {
  readonly #client: RedisClient;
  readonly #seen: SeenClock;
  readonly #asked = new Map<string, OneAsked>();
  readonly #askedTogether = new Map<readonly string[], ManyAsked>();

  constructor(client: RedisClient, seen: SeenClock) {
    this.#client = client;
    this.#seen = seen;
  }

  read(keys: readonly string[]): Promise<readonly number[]> {
    return this.ask(keys).answer;
  }

  ask(keys: readonly string[]): Asked {
    const [first] = keys;
    if (keys.length === 1 && first !== undefined) return this.#ask(first);
    let asked = this.#askedTogether.get(keys);
    if (asked === undefined) {
      asked = new ManyAsked(keys.map((key) => this.#ask(key)));
      this.#askedTogether.set(keys, asked);
    }
    return asked;
  }

  #ask(key: string): OneAsked {
    const known = this.#asked.get(key);
    if (known !== undefined) return known;
    const asking = this.#client.command<string | null>('GET', [key], { anyType: true });
    const asked = new OneAsked(asking, (text) => this.#clockOf(text));
    if (this.#asked.size === 0) this.#forgetAfterThisTick();
    this.#asked.set(key, asked);
    return asked;
  }

  #clockOf(text: string | null): number {
    const clock = text === null ? NO_CLOCK : Number(text);
    if (!Number.isSafeInteger(clock)) return NO_CLOCK;
    this.#seen.observe(clock);
    return clock;
  }

  /**
   * A question may be shared only until it can have been answered: who asks later is owed what was invalidated
   * meanwhile. Over a socket that takes a turn of the loop at least; the embedded client answers at once.
   */
  #forgetAfterThisTick(): void {
    const forget = (): void => {
      this.#asked.clear();
      this.#askedTogether.clear();
    };
    if (this.#client.topology === 'embedded') queueMicrotask(forget);
    else process.nextTick(forget);
  }
}

/** One question, whoever shares it. */
class OneAsked implements Asked {
  readonly answer: Promise<readonly number[]>;
  clocks: readonly number[] | undefined;

  constructor(asking: Promise<string | null>, clockOf: (text: string | null) => number) {
    this.answer = asking.then((text) => (this.clocks = [clockOf(text)]));
    // Who shares it may have no need for it any more when it fails.
    this.answer.catch(() => undefined);
  }
}

/** They come back together, so that nearly always only the first is waited for. */
class ManyAsked implements Asked {
  readonly #all: readonly Asked[];
  #clocks: readonly number[] | undefined;

  constructor(all: readonly Asked[]) {
    this.#all = all;
  }

  get clocks(): readonly number[] | undefined {
    return (this.#clocks ??= this.#collect());
  }

  get answer(): Promise<readonly number[]> {
    return this.#gather();
  }

  #collect(): readonly number[] | undefined {
    const clocks: number[] = [];
    for (const asked of this.#all) {
      if (asked.clocks === undefined) return undefined;
      clocks.push(asked.clocks[0] ?? NO_CLOCK);
    }
    return clocks;
  }

  async #gather(): Promise<readonly number[]> {
    const clocks: number[] = [];
    for (const asked of this.#all) clocks.push((asked.clocks ?? (await asked.answer))[0] ?? NO_CLOCK);
    return clocks;
  }
}
