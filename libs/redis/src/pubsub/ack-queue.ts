/** Acknowledgements, many to a command. One that does not get through is tried again, as its message would be. */
import type { Clock } from '../core/index.js';

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Ids per command. */
const BATCH = 500;
const RETRY_MS = 250;

export class AckQueue {
  readonly #send: (ids: readonly string[]) => Promise<unknown>;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting[]>();
  #sending: Promise<void> | undefined;
  #closed = false;

  constructor(send: (ids: readonly string[]) => Promise<unknown>, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  /** Done and not yet acknowledged: should it come again, it needs not be done again. */
  has(id: string): boolean {
    return this.#waiting.has(id);
  }

  get ids(): readonly string[] {
    return [...this.#waiting.keys()];
  }

  add(id: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) this.#waiting.set(id, [{ resolve, reject }]);
      else waiting.push({ resolve, reject });
      this.#sending ??= this.#flush();
    });
  }

  /** Tries once more, and gives up. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sending;
    if (this.#waiting.size > 0) await this.#flush();
  }

  async #flush(): Promise<void> {
    // What is acknowledged in this turn of the loop goes together.
    await new Promise<void>((resolve) => {
      this.#clock.turn(resolve);
    });
    while (this.#waiting.size > 0) {
      const ids = [...this.#waiting.keys()].slice(0, BATCH);
      const error = await this.#send(ids).then(
        () => undefined,
        (reason: unknown) => reason ?? new Error('not acknowledged'),
      );
      if (error === undefined) for (const { resolve } of this.#take(ids)) resolve();
      else if (this.#closed) for (const { reject } of this.#take(ids)) reject(error);
      else await this.#pause();
    }
    this.#sending = undefined;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(RETRY_MS, resolve);
    });
  }

  #take(ids: readonly string[]): Waiting[] {
    return ids.flatMap((id) => {
      const waiting = this.#waiting.get(id) ?? [];
      this.#waiting.delete(id);
      return waiting;
    });
  }
}
