/** What answers of one key may not fall below, and since when: the acknowledged versions, in their order. */

export interface Floor {
  readonly at: number;
  readonly version: number;
  /** Who was told, and of what. */
  readonly process: number;
  readonly operation: number;
}

/** A read that began so many acknowledgements of its key ago is not judged, but counted. */
const KEPT = 2_048;

export class Floors {
  #floors: Floor[] = [];
  /** The last one that is no longer kept. */
  #forgotten: Floor | undefined;

  /** In the order of time. What forbids nothing new is no floor. */
  raise(floor: Floor): void {
    const highest = this.#floors.at(-1) ?? this.#forgotten;
    if (highest !== undefined && highest.version >= floor.version) return;
    this.#floors.push(floor);
    if (this.#floors.length < KEPT * 2) return;
    this.#forgotten = this.#floors[KEPT - 1];
    this.#floors = this.#floors.slice(KEPT);
  }

  /** The earliest floor that forbids this version, if it was there before `moment`; else undefined. */
  brokenBy(version: number, moment: number): Floor | 'unknown' | undefined {
    const forgotten = this.#forgotten;
    if (forgotten !== undefined && version < forgotten.version) {
      return forgotten.at < moment ? forgotten : 'unknown';
    }
    const first = this.#firstAbove(version);
    return first !== undefined && first.at < moment ? first : undefined;
  }

  /** By halves, since versions rise. */
  #firstAbove(version: number): Floor | undefined {
    let low = 0;
    let high = this.#floors.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#floors[middle]?.version ?? 0) > version) high = middle;
      else low = middle + 1;
    }
    return this.#floors[low];
  }
}
