/** Keys that are being changed: from before the change is sent until its outcome is known here. */
export class KeysUnderWay {
  readonly #changes = new Map<string, number>();

  enter(key: string): void {
    this.#changes.set(key, (this.#changes.get(key) ?? 0) + 1);
  }

  leave(key: string): void {
    const left = (this.#changes.get(key) ?? 0) - 1;
    if (left > 0) this.#changes.set(key, left);
    else this.#changes.delete(key);
  }

  has(key: string): boolean {
    return this.#changes.has(key);
  }
}
