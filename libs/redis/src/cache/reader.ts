/**
 * Reads an entry together with the clocks it is judged by, in one round trip where that can be: the flush clock
 * leaves in the same tick as the value, and so do the clocks of the tags that the entry had when it was last
 * read here.
 */
import type { CacheKeys } from './cache.keys.js';
import type { Found, Store, StoreCall } from './store.js';
import { NO_CLOCK, type TagClocks } from './tag-clocks.js';
import { isCurrent } from './validity.js';

export interface Reading {
  readonly found: Found | undefined;
  /** Nothing of it has been invalidated. */
  readonly current: boolean;
}

interface Hint {
  readonly tags: readonly string[];
  /** Of the flush first, then of the tags. */
  readonly clockKeys: readonly string[];
}

const MISS: Reading = { found: undefined, current: false };
const MOST_HINTS = 10_000;
const NO_TAGS: readonly number[] = [];

export class Reader {
  readonly #store: Store;
  readonly #clocks: TagClocks;
  readonly #keys: CacheKeys;
  readonly #flushOnly: readonly string[];
  readonly #hints = new Map<string, Hint>();

  constructor(store: Store, clocks: TagClocks, keys: CacheKeys) {
    this.#store = store;
    this.#clocks = clocks;
    this.#keys = keys;
    this.#flushOnly = [keys.flush];
  }

  /** At once when entry and clocks are held in this process. */
  read(key: string, call?: StoreCall): Reading | Promise<Reading> {
    const found = this.#store.get(key, call);
    if (found instanceof Promise) return this.#whenFound(key, found);
    if (found === undefined) return MISS;
    const clocks = this.#clocks.read(this.#hintFor(found.entry.tags).clockKeys);
    if (clocks instanceof Promise) return clocks.then((read) => judge(found, read));
    return judge(found, clocks);
  }

  async #whenFound(key: string, finding: Promise<Found | undefined>): Promise<Reading> {
    const hint = this.#hints.get(key);
    const asked = this.#clocks.read(hint?.clockKeys ?? this.#flushOnly);
    const [found, clocks] = await Promise.all([finding, asked]);
    if (found === undefined) return MISS;
    const { tags } = found.entry;
    if (tags.length === 0) return judge(found, clocks);
    if (hint !== undefined && sameTags(hint.tags, tags)) return judge(found, clocks);
    const fitting = this.#hintFor(tags);
    this.#remember(key, fitting);
    return judge(found, await this.#clocks.read(fitting.clockKeys));
  }

  #hintFor(tags: readonly string[]): Hint {
    if (tags.length === 0) return { tags, clockKeys: this.#flushOnly };
    return { tags, clockKeys: [this.#keys.flush, ...tags.map((tag) => this.#keys.tag(tag))] };
  }

  #remember(key: string, hint: Hint): void {
    if (this.#hints.size >= MOST_HINTS) {
      const [oldest] = this.#hints.keys();
      if (oldest !== undefined) this.#hints.delete(oldest);
    }
    this.#hints.set(key, hint);
  }
}

/** `clocks` may hold more than the entry has tags, when it has lost all of them. */
function judge(found: Found, clocks: readonly number[]): Reading {
  const tagged = found.entry.tags.length > 0;
  const judged = { flush: clocks[0] ?? NO_CLOCK, tags: tagged ? clocks.slice(1) : NO_TAGS };
  return { found, current: isCurrent(found.entry, judged) };
}

function sameTags(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((tag, i) => tag === other[i]);
}
