/**
 * Times in buckets that grow by a fifth each, from 1 µs to above a minute: a percentile of a step costs the same for
 * ten calls and for a million, and is wrong by at most a tenth.
 */

const PER_OCTAVE = 4;
const BUCKETS = 26 * PER_OCTAVE;

export class LatencyHistogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(ms: number): void {
    const bucket = Math.floor(Math.log2(Math.max(1, ms * 1_000)) * PER_OCTAVE);
    this.#counts[Math.min(BUCKETS - 1, bucket)] = (this.#counts[Math.min(BUCKETS - 1, bucket)] ?? 0) + 1;
    this.#total += 1;
  }

  /** In milliseconds; NaN when there was nothing. */
  quantile(share: number): number {
    if (this.#total === 0) return Number.NaN;
    const rank = share * (this.#total - 1);
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      seen += this.#counts[bucket] ?? 0;
      // The middle of the bucket, as its ends are its worst guesses.
      if (seen > rank) return 2 ** ((bucket + 0.5) / PER_OCTAVE) / 1_000;
    }
    return Number.NaN;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}
