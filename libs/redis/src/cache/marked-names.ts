/**
 * A set of names that takes the same memory however many there are. It may hold a name for one that it was not given,
 * and never the other way round; which ones, is another draw in every set.
 */
import { createHash, randomBytes } from 'node:crypto';

const PLACES = 2 ** 25;

export class MarkedNames {
  readonly #salt = randomBytes(8);
  #marks: Uint8Array | undefined;
  #size = 0;

  /** How many names were added, the same one as often as it was. */
  get size(): number {
    return this.#size;
  }

  add(name: string): void {
    this.#marks ??= new Uint8Array(PLACES / 8);
    const place = this.#placeOf(name);
    this.#marks[place >>> 3] = (this.#marks[place >>> 3] ?? 0) | (1 << (place & 7));
    this.#size += 1;
  }

  has(name: string): boolean {
    if (this.#marks === undefined) return false;
    const place = this.#placeOf(name);
    return ((this.#marks[place >>> 3] ?? 0) & (1 << (place & 7))) !== 0;
  }

  #placeOf(name: string): number {
    return createHash('sha1').update(this.#salt).update(name).digest().readUInt32BE(0) % PLACES;
  }
}
