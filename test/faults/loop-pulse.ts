/**
 * Measures when this process's event loop stood still. Servers, proxies, load and client share two cores, and a loop that
 * does not turn answers nobody: what it cost a call is known from here and taken off before the call is judged.
 */
const EVERY_MS = 5;
/** A tick that is this much late is noise of the timer itself. */
const NOISE_MS = 2;

export class LoopPulse {
  readonly #gaps: { readonly from: number; readonly to: number }[] = [];
  readonly #timer: NodeJS.Timeout;
  #last = performance.now();

  constructor() {
    this.#timer = setInterval(() => this.#beat(), EVERY_MS);
  }

  /** Milliseconds of standstill between two moments. */
  stalledWithin(from: number, to: number): number {
    let total = 0;
    for (const gap of this.#gaps) {
      const overlap = Math.min(to, gap.to) - Math.max(from, gap.from);
      if (overlap > 0) total += Math.min(overlap, gap.to - gap.from - EVERY_MS);
    }
    return total;
  }

  get longest(): number {
    return this.#gaps.reduce((most, gap) => Math.max(most, gap.to - gap.from - EVERY_MS), 0);
  }

  stop(): void {
    this.#beat();
    clearInterval(this.#timer);
  }

  #beat(): void {
    const now = performance.now();
    if (now - this.#last > EVERY_MS + NOISE_MS) this.#gaps.push({ from: this.#last, to: now });
    this.#last = now;
  }
}
