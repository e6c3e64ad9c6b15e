/**
 * The logical clocks that invalidations move. An entry counts while no clock of its tags is greater than its
 * own, so nothing has to be deleted to invalidate it, and no wall clock is asked.
 */
import type { RedisClient } from '../connection/index.js';

/** There is no such clock. */
export const NO_CLOCK = -1;

export interface TagClocks {
  /** The clocks under these keys, in their order; an array when they are held in this process. */
  read(keys: readonly string[]): readonly number[] | Promise<readonly number[]>;
  /** This process has moved that clock: what is held of it is old, before Redis says so. */
  invalidate?(key: string): void;
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
  readonly #asked = new Map<string, Promise<number>>();

  constructor(client: RedisClient, seen: SeenClock) {
    this.#client = client;
    this.#seen = seen;
  }

  read(keys: readonly string[]): Promise<readonly number[]> {
    const [first] = keys;
    if (keys.length === 1 && first !== undefined) return this.#read(first).then((clock) => [clock]);
    return Promise.all(keys.map((key) => this.#read(key)));
  }

  #read(key: string): Promise<number> {
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    const asking = this.#client.command<string | null>('GET', [key], { anyType: true }).then((text) => {
      const clock = text === null ? NO_CLOCK : Number(text);
      this.#seen.observe(clock);
      return Number.isSafeInteger(clock) ? clock : NO_CLOCK;
    });
    if (this.#asked.size === 0) this.#forgetAfterThisTick();
    this.#asked.set(key, asking);
    return asking;
  }

  /**
   * A question may be shared only until it can have been answered: who asks later is owed what was invalidated
   * meanwhile. Over a socket that takes a turn of the loop at least; the embedded client answers at once.
   */
  #forgetAfterThisTick(): void {
    const forget = (): void => this.#asked.clear();
    if (this.#client.topology === 'embedded') queueMicrotask(forget);
    else process.nextTick(forget);
  }
}
