/**
 * Whether a loader waits for a load. That loader holds a place under the cap until it is done, and may hold the very one
 * that the load waits for: so the load goes on without.
 */
export class LoadHaste {
  #made = false;
  #onMade: (() => void) | undefined;

  get made(): boolean {
    return this.#made;
  }

  make(): void {
    this.#made = true;
    this.#onMade?.();
  }

  /** Calls back once it is made, at once when it is; for one listener at a time. */
  onMade(listener: () => void): void {
    if (this.#made) listener();
    else this.#onMade = listener;
  }
}
