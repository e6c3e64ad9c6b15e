/** What is hunted: one cache, with calls that all of them have, so that the same program runs on each. */
import type { Figures } from './orders.js';

/** What is cached: a version of the origin, and the key it belongs to. */
export interface Book {
  readonly key: number;
  readonly version: number;
}

export type Answer = Book | undefined;

/** Ways to load that only ours has; rivals load plainly. */
export type LoadMode = 'plain' | 'late-tags' | 'stale' | 'failing' | 'given-up' | 'not-stored';

export interface Load {
  readonly mode: LoadMode;
  /** What the loader does. */
  readonly run: (key: number) => Promise<Book>;
}

export interface Subject {
  get(key: number): Promise<Answer>;
  getMany(keys: readonly number[]): Promise<readonly Answer[]>;
  getOrSet(key: number, load: Load): Promise<Answer>;
  getOrSetMany(keys: readonly number[], load: Load): Promise<readonly Answer[]>;
  set(key: number, book: Book): Promise<unknown>;
  remove(keys: readonly number[]): Promise<unknown>;
  /** All books of the shelf when no key is given. */
  invalidateTagged(key?: number): Promise<unknown>;
  /** All books when no key is given. */
  removeBelow(key?: number): Promise<unknown>;
  flush(): Promise<unknown>;
  expire(key: number): Promise<unknown>;
  /** For the stampede. */
  load(key: string, loader: () => Promise<string>): Promise<string>;
  figures(): Figures;
  close(): Promise<void>;
}

/** Every second key is always stored under its tags, so that a tag alone invalidates it. */
export function isTagged(key: number): boolean {
  return key % 2 === 0;
}

export function tagsOf(key: number): readonly string[] {
  return isTagged(key) ? [`book:${key}`, 'shelf'] : [];
}
