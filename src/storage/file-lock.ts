/** One process at a time, by a file that only one can make. Held for milliseconds, while a change is written. */
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const RETRY_MS = 5;
/** Whoever made a lock this old died with it: a change takes a few milliseconds. */
const ABANDONED_MS = 3_000;
const PATIENCE_MS = 10_000;

export class FileLock {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** `work` is synchronous, so that nothing can keep the lock longer than it runs. */
  async hold<T>(work: () => T): Promise<T> {
    const until = performance.now() + PATIENCE_MS;
    while (!this.#take()) {
      if (performance.now() > until) throw new Error(`${this.#path} is held by another process`);
      this.#dropAbandoned();
      await pause(RETRY_MS);
    }
    try {
      return work();
    } finally {
      rmSync(this.#path, { force: true });
    }
  }

  #take(): boolean {
    try {
      closeSync(openSync(this.#path, 'wx'));
      return true;
    } catch (error) {
      if (Reflect.get(Object(error), 'code') === 'EEXIST') return false;
      throw error;
    }
  }

  #dropAbandoned(): void {
    const found = statSync(this.#path, { throwIfNoEntry: false });
    if (found !== undefined && Date.now() - found.mtimeMs > ABANDONED_MS) rmSync(this.#path, { force: true });
  }
}
