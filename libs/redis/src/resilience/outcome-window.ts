/**
 * What calls came to within the last while, for the breaker. Ten buckets that are cleared as time passes
 * over them, when they are read or written: no timer, nothing allocated per call, and a minute of silence
 * empties it as surely as a minute of calls.
 */

export type Outcome = 'ok' | 'slow' | 'failed';

interface Bucket {
  calls: number;
  failures: number;
  slow: number;
}

const BUCKETS = 10;

export class OutcomeWindow {
  readonly #bucketMs: number;
  readonly #buckets: readonly Bucket[] = Array.from({ length: BUCKETS }, emptyBucket);
  /** Sums over all buckets, kept so that a call need not add ten numbers. */
  readonly #sum: Bucket = emptyBucket();
  #current: Bucket = emptyBucket();
  /** Number of the current bucket since time 0. */
  #position = Number.NEGATIVE_INFINITY;
  #currentEndsAt = Number.NEGATIVE_INFINITY;
  #streak = 0;

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  add(outcome: Outcome, now: number): void {
    if (now >= this.#currentEndsAt) this.#expire(now);
    this.#current.calls += 1;
    this.#sum.calls += 1;
    if (outcome === 'failed') {
      this.#current.failures += 1;
      this.#sum.failures += 1;
      this.#streak += 1;
      return;
    }
    this.#streak = 0;
    if (outcome === 'ok') return;
    this.#current.slow += 1;
    this.#sum.slow += 1;
  }

  /** As of the last `add`; so are the others. */
  get calls(): number {
    return this.#sum.calls;
  }

  get failures(): number {
    return this.#sum.failures;
  }

  get slow(): number {
    return this.#sum.slow;
  }

  /**
   * Failures in a row. They may be older than the window, so that one failing call every few seconds adds
   * up too, but a whole window without any call ends the row.
   */
  get streak(): number {
    return this.#streak;
  }

  clear(): void {
    for (const bucket of this.#buckets) this.#drop(bucket);
    this.#streak = 0;
  }

  #expire(now: number): void {
    const position = Math.floor(now / this.#bucketMs);
    const passed = Math.min(BUCKETS, position - this.#position);
    for (let back = 0; back < passed; back += 1) this.#drop(this.#bucketAt(position - back));
    if (this.#sum.calls === 0) this.#streak = 0;
    this.#position = position;
    this.#current = this.#bucketAt(position);
    this.#currentEndsAt = (position + 1) * this.#bucketMs;
  }

  #bucketAt(position: number): Bucket {
    return this.#buckets[position % BUCKETS] ?? this.#current;
  }

  #drop(bucket: Bucket): void {
    this.#sum.calls -= bucket.calls;
    this.#sum.failures -= bucket.failures;
    this.#sum.slow -= bucket.slow;
    bucket.calls = 0;
    bucket.failures = 0;
    bucket.slow = 0;
  }
}

function emptyBucket(): Bucket {
  return { calls: 0, failures: 0, slow: 0 };
}
