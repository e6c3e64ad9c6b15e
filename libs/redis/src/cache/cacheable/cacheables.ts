/** What the decorators of one application work on: its caches, their contexts, and who answers for routes. */
import type { Key } from '../../connection/index.js';
import type { CacheContract } from '../cache-contract.js';
import { InvalidCacheOptionsError } from '../cache.errors.js';
import type { CacheOptions } from '../cache.options.js';
import type { RouteAnswers, RouteContext } from './cacheable-route.js';
import type { CacheSetOptions, GetOptions, Loader, LoadOptions } from '../call.options.js';
import { ContextSegments, keyWithin, tagWithin, type ContextResolvers } from './context-segments.js';

/** A named cache: its own options, and what it is kept apart by. */
export interface NamedCacheOptions extends CacheOptions {
  /** Names of `contexts`: they stand in every key and tag of this cache, and no call gets by without them. */
  contexts?: readonly string[] | undefined;
}

export interface CacheablesParts {
  readonly cache: CacheContract;
  readonly contexts?: ContextResolvers | undefined;
  readonly caches?: Readonly<Record<string, NamedCacheOptions>> | undefined;
  readonly routes?: RouteAnswers | undefined;
  readonly warn?: ((message: string) => void) | undefined;
}

const NO_SEGMENTS: readonly string[] = Object.freeze([]);
const DEFAULT_NAME = 'default';

/** A cache with its contexts in every key and tag: what the decorators use, and `cacheables.cache('books')`. */
export class ContextCache {
  readonly plain: CacheContract;
  readonly contexts: ContextSegments | undefined;
  readonly #kept: readonly string[] | undefined;

  constructor(plain: CacheContract, contexts: ContextSegments | undefined, kept?: readonly string[]) {
    this.plain = plain;
    this.contexts = contexts;
    this.#kept = kept;
  }

  /** With the contexts of this moment, for work that goes on after others may hold; refused without them. */
  asOfNow(): ContextCache {
    return this.contexts === undefined ? this : new ContextCache(this.plain, this.contexts, this.segments());
  }

  get<T = unknown>(key: Key, options?: GetOptions): Promise<T | undefined> {
    return this.#with(() => this.plain.get<T>(this.key(key), options));
  }

  set(key: Key, value: unknown, options: CacheSetOptions = {}): Promise<boolean> {
    return this.#with(() => {
      const { tags } = options;
      const within = tags === undefined ? options : { ...options, tags: this.tags(tags) };
      return this.plain.set(this.key(key), value, within);
    });
  }

  getOrSet<T>(key: Key, loader: Loader<T>, options: LoadOptions = {}): Promise<T> {
    return this.#with(() => {
      const { tags } = options;
      const within = tags === undefined ? options : { ...options, tags: this.tags(tags) };
      return this.plain.getOrSet<T>(this.key(key), loader, within);
    });
  }

  delete(key: Key): Promise<boolean> {
    return this.#with(() => this.plain.delete(this.key(key)));
  }

  deletePrefix(prefix: Key): Promise<number> {
    return this.#with(() => this.plain.deletePrefix(this.key(prefix)));
  }

  invalidateTags(tags: string | readonly string[]): Promise<void> {
    return this.#with(() => this.plain.invalidateTags(this.tags(typeof tags === 'string' ? [tags] : tags)));
  }

  /** The whole cache, or this context's part of it. */
  flush(): Promise<number> {
    return this.#with(() => {
      const segments = this.segments();
      return segments.length === 0 ? this.plain.flush() : this.plain.deletePrefix(segments);
    });
  }

  segments(request?: unknown): readonly string[] {
    return this.#kept ?? (this.contexts === undefined ? NO_SEGMENTS : this.contexts.of(request));
  }

  key(key: Key): Key {
    return this.contexts === undefined ? key : keyWithin(this.segments(), key);
  }

  tags(tags: readonly string[], segments: readonly string[] = this.segments()): readonly string[] {
    return segments.length === 0 ? tags : tags.map((tag) => tagWithin(segments, tag));
  }

  /** What a route's answer is kept under besides its key. */
  routeContext(tags: readonly string[], request: unknown): RouteContext {
    const segments = this.segments(request);
    const namesUser = this.contexts?.names.includes('user') === true;
    return { segments, tags: this.tags(tags, segments), namesUser };
  }

  /** A context that is missing rejects, as everything else that fails does. */
  async #with<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
}

export class Cacheables {
  readonly routes: RouteAnswers | undefined;
  readonly warn: (message: string) => void;
  readonly #cache: CacheContract;
  readonly #contexts: ContextResolvers;
  readonly #options: Readonly<Record<string, NamedCacheOptions>>;
  readonly #caches = new Map<string | undefined, ContextCache>();

  constructor(parts: CacheablesParts) {
    const { cache, contexts = {}, caches = {}, routes, warn = () => undefined } = parts;
    this.#cache = cache;
    this.#contexts = contexts;
    this.#options = caches;
    this.routes = routes;
    this.warn = warn;
    for (const name of Object.keys(caches)) this.cache(name);
  }

  /** The cache of that name, with the contexts it declares. */
  cache(name?: string): ContextCache {
    const known = this.#caches.get(name);
    if (known !== undefined) return known;
    const made = this.#make(name ?? DEFAULT_NAME);
    this.#caches.set(name, made);
    return made;
  }

  #make(name: string): ContextCache {
    const { contexts, ...options } = Object.hasOwn(this.#options, name) ? (this.#options[name] ?? {}) : {};
    if (name === DEFAULT_NAME && Object.keys(options).length > 0) {
      throw new InvalidCacheOptionsError('caches.default: only contexts can stand here', {
        hint: 'the options of the default cache stand under `cache`',
      });
    }
    const plain = name === DEFAULT_NAME ? this.#cache : this.#cache.namespace(name, options);
    const segments =
      contexts === undefined || contexts.length === 0
        ? undefined
        : new ContextSegments(name, contexts, this.#contexts);
    return new ContextCache(plain, segments);
  }
}
