/**
 * Reads an entry together with the clocks it is judged by, in one round trip where that can be: the flush clock
 * leaves in the same tick as the value, and so do the clocks of the tags that the entry had when it was last
 * read here.
 */
import type { CacheKeys } from './cache.keys.js';
import type { CacheEntry, Found, Store, StoreCall } from './store.js';
import { NO_CLOCK, type Asked, type TagClocks } from './tag-clocks.js';

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

export class Reader {
  readonly #store: Store;
  readonly #clocks: TagClocks;
  readonly #keys: CacheKeys;
  readonly #flushOnly: readonly string[];
  readonly #hints = new Map<string, Hint>();
  readonly #hintsByTags = new Map<string, Hint>();

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
    const current = this.#judgeByHeld(found.entry);
    if (current !== undefined) return { found, current };
    const clocks = this.#clocks.read(this.#hintFor(found.entry).clockKeys);
    if (clocks instanceof Promise) return clocks.then((read) => judge(found, read));
    return judge(found, clocks);
  }

  /** What needs nobody to be asked: undefined where entry or clocks are not held in this process. */
  held(key: string): Reading | undefined {
    const found = this.#store.held?.(key);
    const current = found === undefined ? undefined : this.#judgeByHeld(found.entry);
    return current === undefined ? undefined : { found, current };
  }

  /** The hot path: nothing is asked and nothing made. Undefined when a clock is not held. */
  #judgeByHeld({ clock, tags, tagKeys }: CacheEntry): boolean | undefined {
    const clocks = this.#clocks;
    if (clocks.held === undefined) return undefined;
    const flush = clocks.held(this.#keys.flush);
    if (flush === undefined) return undefined;
    if (flush > clock) return false;
    if (tags.length === 0) return true;
    for (const key of tagKeys?.madeBy === this.#keys ? tagKeys.keys : this.#keys.tags(tags)) {
      const tagClock = clocks.held(key);
      if (tagClock === undefined) return undefined;
      if (tagClock === NO_CLOCK || tagClock > clock) return false;
    }
    return true;
  }

  #whenFound(key: string, finding: Promise<Found | undefined>): Promise<Reading> {
    const hint = this.#hints.size === 0 ? undefined : this.#hints.get(key);
    const clocks = this.#clocks;
    const clockKeys = hint?.clockKeys ?? this.#flushOnly;
    const asked = clocks.ask === undefined ? clocks.read(clockKeys) : clocks.ask(clockKeys);
    // When the value does not come, nobody waits for the clocks.
    if (asked instanceof Promise) asked.catch(ignore);
    return finding.then((found) => {
      if (found === undefined) return MISS;
      const read = clocksOf(asked);
      const judged = (known: readonly number[]): Reading | Promise<Reading> =>
        isFor(hint, found.entry) ? judge(found, known) : this.#judgeAnew(key, found);
      return read instanceof Promise ? read.then(judged) : judged(read);
    });
  }

  /** It has other tags than it had when it was last read here. */
  async #judgeAnew(key: string, found: Found): Promise<Reading> {
    const fitting = this.#knownHintFor(found.entry);
    this.#remember(key, fitting);
    return judge(found, await this.#clocks.read(fitting.clockKeys));
  }

  /** The same one for all entries of the same tags: whoever asks for the same list in a tick shares the answer. */
  #knownHintFor(entry: CacheEntry): Hint {
    const id = entry.tags.join('\n');
    let hint = this.#hintsByTags.get(id);
    if (hint === undefined) {
      hint = this.#hintFor(entry);
      if (this.#hintsByTags.size >= MOST_HINTS) this.#hintsByTags.clear();
      this.#hintsByTags.set(id, hint);
    }
    return isFor(hint, entry) ? hint : this.#hintFor(entry);
  }

  #hintFor({ tags }: CacheEntry): Hint {
    if (tags.length === 0) return { tags, clockKeys: this.#flushOnly };
    return { tags, clockKeys: [this.#keys.flush, ...this.#keys.tags(tags)] };
  }

  #remember(key: string, hint: Hint): void {
    if (this.#hints.size >= MOST_HINTS) {
      const [oldest] = this.#hints.keys();
      if (oldest !== undefined) this.#hints.delete(oldest);
    }
    this.#hints.set(key, hint);
  }
}

/** `clocks`: of the flush, then of the tags, and more than the entry has tags when it has lost all of them. */
function judge(found: Found, clocks: readonly number[]): Reading {
  const { entry } = found;
  const { clock, tags } = entry;
  if ((clocks[0] ?? NO_CLOCK) > clock) return { found, current: false };
  for (let i = 0; i < tags.length; i += 1) {
    const tagClock = clocks[i + 1] ?? NO_CLOCK;
    if (tagClock === NO_CLOCK || tagClock > clock) return { found, current: false };
  }
  return { found, current: true };
}

/** Whether what was asked by the hint is what the entry is judged by. */
function isFor(hint: Hint | undefined, { tags }: CacheEntry): boolean {
  if (tags.length === 0) return true;
  if (hint?.tags.length !== tags.length) return false;
  for (let i = 0; i < tags.length; i += 1) if (tags[i] !== hint.tags[i]) return false;
  return true;
}

function clocksOf(
  asked: Asked | readonly number[] | Promise<readonly number[]>,
): readonly number[] | Promise<readonly number[]> {
  return 'answer' in asked ? (asked.clocks ?? asked.answer) : asked;
}

function ignore(): void {
  // Whoever needs it hears of it.
}
