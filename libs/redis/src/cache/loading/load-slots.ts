/** The cap on loaders that run at the same time: more wait in the order they came. */
import { abortReason } from '../../core/index.js';

/** Its signal is looked at only when there is something to wait for. */
export interface Abortable {
  readonly signal: AbortSignal;
}

interface Waiting {
  readonly enter: () => void;
}

export class LoadSlots {
  readonly #limit: number;
  readonly #waiting = new Set<Waiting>();
  #taken = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  /** @returns what gives the slot back, once */
  take(load: Abortable): (() => void) | Promise<() => void> {
    if (this.#taken >= this.#limit) return this.#wait(load.signal);
    this.#taken += 1;
    return this.#release();
  }

  #wait(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortReason(signal));
        return;
      }
      const onAbort = (): void => {
        this.#waiting.delete(waiting);
        reject(abortReason(signal));
      };
      const waiting: Waiting = {
        enter: () => {
          signal.removeEventListener('abort', onAbort);
          resolve(this.#release());
        },
      };
      this.#waiting.add(waiting);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #release(): () => void {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const [next] = this.#waiting;
      if (next === undefined) {
        this.#taken -= 1;
        return;
      }
      // The slot passes on without being free in between.
      this.#waiting.delete(next);
      next.enter();
    };
  }
}
