/** What was begun in which epoch, so that a process can say that nothing of an older one is under way any more. */
export class UnderWay {
  readonly #counts = new Map<number, number>();
  readonly #waiting = new Set<{ readonly epoch: number; readonly resolve: () => void }>();

  async guard<T>(epoch: number, work: () => Promise<T>): Promise<T> {
    this.#counts.set(epoch, (this.#counts.get(epoch) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.#counts.get(epoch) ?? 1) - 1;
      if (left > 0) this.#counts.set(epoch, left);
      else this.#counts.delete(epoch);
      if (left === 0 && this.#waiting.size > 0) this.#wake();
    }
  }

  idleBelow(epoch: number): Promise<void> {
    if (this.#isIdleBelow(epoch)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add({ epoch, resolve }));
  }

  #isIdleBelow(epoch: number): boolean {
    for (const each of this.#counts.keys()) if (each < epoch) return false;
    return true;
  }

  #wake(): void {
    for (const waiting of this.#waiting) {
      if (!this.#isIdleBelow(waiting.epoch)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }
}
