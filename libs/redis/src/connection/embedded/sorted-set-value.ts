/**
 * A sorted set: scores by member in a Map, and the members in order of score, then of bytes, in chunks of a
 * bounded size. Finding a place is two binary searches, inserting shifts one small chunk; a rank adds up the
 * chunks before it. That is a skip list's worth of speed without its pointers.
 */
import type { Bytes } from './byte-string.js';
import { MEMBER_WEIGHT, type Collection } from './value.js';

export interface ScoredMember {
  readonly member: Bytes;
  readonly score: number;
}

/** True from some place on to the end, and never again false. */
type FromHereOn = (item: ScoredMember) => boolean;

const LARGEST_CHUNK = 256;
const SCORED_WEIGHT = MEMBER_WEIGHT + 56;

export class SortedSetValue implements Collection {
  readonly type = 'zset';
  readonly #scores = new Map<Bytes, number>();
  readonly #chunks: ScoredMember[][] = [];
  #weight = 0;

  get size(): number {
    return this.#scores.size;
  }

  get weight(): number {
    return this.#weight;
  }

  score(member: Bytes): number | undefined {
    return this.#scores.get(member);
  }

  set(member: Bytes, given: number): void {
    // Redis keeps the scores of a small set as integers where it can, and loses the sign of a zero.
    const score = given === 0 ? 0 : given;
    this.delete(member);
    this.#scores.set(member, score);
    this.#insert({ member, score });
    this.#weight += SCORED_WEIGHT + member.length;
  }

  delete(member: Bytes): boolean {
    const score = this.#scores.get(member);
    if (score === undefined) return false;
    this.#scores.delete(member);
    const { chunk, offset } = this.#find(atOrAfter({ member, score }));
    const items = this.#chunks[chunk];
    items?.splice(offset, 1);
    if (items?.length === 0) this.#chunks.splice(chunk, 1);
    this.#weight -= SCORED_WEIGHT + member.length;
    return true;
  }

  rank(member: Bytes): number | undefined {
    const score = this.#scores.get(member);
    return score === undefined ? undefined : this.countBefore(atOrAfter({ member, score }));
  }

  /** How many members lie before the first one for which `reached` holds. */
  countBefore(reached: FromHereOn): number {
    const { chunk, offset } = this.#find(reached);
    let before = offset;
    for (let i = 0; i < chunk; i += 1) before += this.#chunks[i]?.length ?? 0;
    return before;
  }

  /** Members by rank, `end` excluded. */
  slice(start: number, end: number): ScoredMember[] {
    const found: ScoredMember[] = [];
    let first = 0;
    for (const items of this.#chunks) {
      if (first >= end) break;
      const [from, to] = [Math.max(start - first, 0), Math.min(end - first, items.length)];
      for (let i = from; i < to; i += 1) {
        const item = items[i];
        if (item !== undefined) found.push(item);
      }
      first += items.length;
    }
    return found;
  }

  clone(): SortedSetValue {
    const copy = new SortedSetValue();
    for (const { member, score } of this.slice(0, this.size)) copy.set(member, score);
    return copy;
  }

  #insert(item: ScoredMember): void {
    const place = this.#find(atOrAfter(item));
    // Behind everything: it joins the last chunk.
    const chunk = Math.min(place.chunk, Math.max(this.#chunks.length - 1, 0));
    const items = this.#chunks[chunk];
    if (items === undefined) {
      this.#chunks.push([item]);
      return;
    }
    items.splice(chunk === place.chunk ? place.offset : items.length, 0, item);
    if (items.length > LARGEST_CHUNK) this.#chunks.splice(chunk + 1, 0, items.splice(LARGEST_CHUNK / 2));
  }

  #find(reached: FromHereOn): { chunk: number; offset: number } {
    const chunk = firstIndex(this.#chunks, (items) => {
      const last = items.at(-1);
      return last !== undefined && reached(last);
    });
    return { chunk, offset: firstIndex(this.#chunks[chunk] ?? [], reached) };
  }
}

/** Order within the set: score first, then bytes. */
function atOrAfter({ member, score }: ScoredMember): FromHereOn {
  return (item) => item.score > score || (item.score === score && item.member >= member);
}

function firstIndex<T>(items: readonly T[], reached: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = items[middle];
    if (item !== undefined && reached(item)) high = middle;
    else low = middle + 1;
  }
  return low;
}
