/**
 * Ends a load before its loader does. It does what an `AbortController` does, and makes one only for loaders that
 * look at their signal: most do not, and it would cost more than all else a load does in this process.
 */
export class LoadAbort {
  #reason: Error | undefined;
  #abandoned = false;
  #controller: AbortController | undefined;
  #onEnd: ((reason: Error) => void) | undefined;

  /** Nobody waits for it any more; one that has only run out of time was not abandoned. */
  get abandoned(): boolean {
    return this.#abandoned;
  }

  get ended(): boolean {
    return this.#reason !== undefined;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Calls back once, at once when it has ended already. */
  onEnd(listener: (reason: Error) => void): void {
    if (this.#reason === undefined) this.#onEnd = listener;
    else listener(this.#reason);
  }

  abandon(reason: Error): void {
    if (this.#reason === undefined) this.#abandoned = true;
    this.expire(reason);
  }

  expire(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#onEnd?.(reason);
  }
}
