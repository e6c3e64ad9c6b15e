/** Percentiles of any number of durations in bounded memory, right to two per cent. */

const GROWTH = Math.log(1.02);

export class LagHistogram {
  readonly #buckets: number[] = [];
  #count = 0;
  #longestUs = 0;

  get count(): number {
    return this.#count;
  }

  get longestMs(): number {
    return this.#longestUs / 1_000;
  }

  add(us: number): void {
    const bucket = Math.ceil(Math.log(Math.max(1, us)) / GROWTH);
    while (this.#buckets.length <= bucket) this.#buckets.push(0);
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#longestUs = Math.max(this.#longestUs, us);
  }

  /** In milliseconds; 0 when there is nothing. */
  percentile(share: number): number {
    let left = Math.ceil(this.#count * share);
    for (const [bucket, count] of this.#buckets.entries()) {
      left -= count;
      if (left <= 0 && count > 0) return Math.min(Math.exp(bucket * GROWTH), this.#longestUs) / 1_000;
    }
    return 0;
  }
}
