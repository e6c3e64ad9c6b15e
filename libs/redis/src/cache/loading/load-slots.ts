/** The cap on loaders that run at the same time: more wait in the order they came. */
import { abortReason } from '../../core/index.js';
import type { LoadHaste } from './load-haste.js';

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

  /** With `haste` there may come to be no slot to wait for. @returns what gives the slot back, once */
  take(load: Abortable, haste?: LoadHaste): (() => void) | Promise<() => void> {
    if (this.#taken >= this.#limit) return haste?.made === true ? noSlot : this.#wait(load.signal, haste);
    this.#taken += 1;
    return this.#release();
  }

  #wait(signal: AbortSignal, haste: LoadHaste | undefined): Promise<() => void> {
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
      haste?.onMade(() => {
        if (!this.#waiting.delete(waiting)) return;
        signal.removeEventListener('abort', onAbort);
        resolve(noSlot);
      });
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

function noSlot(): void {
  // There is nothing to give back.
}
