/**
 * The last hour in steps of 5 s: one ring of numbers per series, made when the series first has something to say.
 * Steps are counted by the wall clock, so that those of several processes lie on one another.
 */

export const STEP_MS = 5_000;
/** An hour. */
export const STEPS = 720;

export class History {
  readonly #rings = new Map<string, Float64Array>();
  readonly #most: number;
  readonly #measured: ReadonlySet<string>;
  #last = -1;
  #first = -1;

  /**
   * @param most series; further ones are not kept
   * @param measured those that are unknown until they are first written; the others were 0 so far
   */
  constructor(most: number, measured: ReadonlySet<string> = new Set()) {
    this.#most = most;
    this.#measured = measured;
  }

  /** The step written last; -1 before the first. */
  get last(): number {
    return this.#last;
  }

  get series(): number {
    return this.#rings.size;
  }

  get bytes(): number {
    return this.#rings.size * STEPS * Float64Array.BYTES_PER_ELEMENT;
  }

  /** The step of a time. Never one that is written already: a clock that was set back goes on from where it was. */
  begin(wallMs: number): number {
    const due = Math.floor(wallMs / STEP_MS);
    const next = Math.max(due, this.#last + 1);
    const skipped = Math.min(next - this.#last - 1, STEPS);
    if (this.#last === -1) this.#first = next;
    else if (skipped > 0) this.#blank(this.#last + 1, skipped);
    // What stood here an hour ago is not to be taken for now.
    this.#blank(next, 1);
    this.#last = next;
    return next;
  }

  write(series: string, value: number): void {
    let ring = this.#rings.get(series);
    if (ring === undefined) {
      if (this.#rings.size >= this.#most || value === 0 || Number.isNaN(value)) return;
      ring = new Float64Array(STEPS).fill(Number.NaN);
      if (!this.#measured.has(series)) this.#silentSoFar(ring);
      this.#rings.set(series, ring);
    }
    ring[this.#last % STEPS] = value;
  }

  /** The last `count` steps up to `last`, oldest first; `null` where nothing is known. */
  read(series: string, count: number): (number | null)[] {
    const ring = this.#rings.get(series);
    const steps = Math.min(count, STEPS, this.#last === -1 ? 0 : this.#last - this.#first + 1);
    const absent = this.#measured.has(series) ? Number.NaN : 0;
    return Array.from({ length: steps }, (_, i) => {
      const value = ring === undefined ? absent : (ring[(this.#last - steps + 1 + i) % STEPS] ?? Number.NaN);
      return Number.isFinite(value) ? rounded(value) : null;
    });
  }

  /** What was written last. */
  latest(series: string): number | null {
    return this.read(series, 1)[0] ?? null;
  }

  /** Sum over the last `count` steps. */
  sum(series: string, count: number): number {
    const ring = this.#rings.get(series);
    if (ring === undefined || this.#last === -1) return 0;
    let sum = 0;
    const from = Math.max(this.#first, this.#last - Math.min(count, STEPS) + 1);
    for (let step = from; step <= this.#last; step += 1) {
      const value = ring[step % STEPS] ?? Number.NaN;
      if (Number.isFinite(value)) sum += value;
    }
    return sum;
  }

  #silentSoFar(ring: Float64Array): void {
    const from = Math.max(this.#first, this.#last - STEPS + 1);
    for (let step = from; step < this.#last; step += 1) ring[step % STEPS] = 0;
  }

  #blank(from: number, count: number): void {
    for (const ring of this.#rings.values()) {
      for (let step = from; step < from + count; step += 1) ring[step % STEPS] = Number.NaN;
    }
  }
}

/** Four digits are what a chart can show. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
