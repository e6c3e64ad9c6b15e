/**
 * One run per key at a time inside this process: everybody who asks while it runs gets the same outcome,
 * value or failure. A failure is shared once and not re-run per waiter, so a broken origin is asked once.
 */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>();

  /** Runs `work`, or joins the run of the same key that is already under way. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const joined = this.#running.get(key);
    if (joined !== undefined) return joined;
    const run = startSafely(work).finally(() => {
      // `forget` may have let a newer run in: only the run that is still registered may clear the place.
      if (this.#running.get(key) === run) this.#running.delete(key);
    });
    this.#running.set(key, run);
    return run;
  }

  /** Later callers start a run of their own instead of joining the present one. */
  forget(key: string): void {
    this.#running.delete(key);
  }

  get size(): number {
    return this.#running.size;
  }
}

/** A work that throws before its first await must settle the flight as a rejection, like any other failure. */
async function startSafely<T>(work: () => Promise<T>): Promise<T> {
  return work();
}
