/**
 * Loads of many keys ask Redis side by side, but not so many at once that one call fills the connection and nobody else
 * gets through. The rest wait in the order they came. Only what ends by its own deadline may hold a place.
 */

/** Each has one call to Redis under way, and so many fit through a connection that is still being made. */
export const KEYS_AT_ONCE = 250;

export class LoadPace {
  readonly #atOnce: number;
  /** A set, as the first of thousands leaves it again and again. */
  readonly #waiting = new Set<() => void>();
  #underWay = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#underWay < this.#atOnce) this.#underWay += 1;
    else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  /** The place passes on without being free in between. */
  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) this.#underWay -= 1;
    else {
      this.#waiting.delete(first);
      first();
    }
  }
}
