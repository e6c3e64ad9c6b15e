/** The tasks that a worker has under way: each can be aborted, and it is known when there has been none for a while. */
import type { Clock, Timer } from '../core/index.js';

export class RunningTasks {
  readonly #clock: Clock;
  readonly #tasks = new Map<string, AbortController>();
  #onChange: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For as long as `work` takes, the task counts as running. */
  async during<T>(id: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    this.#tasks.set(id, controller);
    this.#onChange?.();
    try {
      return await work(controller.signal);
    } finally {
      this.#tasks.delete(id);
      this.#onChange?.();
    }
  }

  abort(id: string, reason: Error): void {
    this.#tasks.get(id)?.abort(reason);
  }

  abortAll(reason: Error): void {
    for (const controller of this.#tasks.values()) controller.abort(reason);
  }

  /** Aborted once nothing has been running for `ms`; `stop` ends the watch. */
  silence(ms: number): { readonly signal: AbortSignal; stop(): void } {
    const silent = new AbortController();
    let timer: Timer | undefined;
    const look = (): void => {
      timer?.cancel();
      timer = undefined;
      if (this.#tasks.size === 0) timer = this.#clock.after(ms, () => silent.abort(), { keepAlive: true });
    };
    this.#onChange = look;
    look();
    const stop = (): void => {
      this.#onChange = undefined;
      timer?.cancel();
    };
    return { signal: silent.signal, stop };
  }
}
