/**
 * What a cache is kept apart by besides its keys: tenant, user, locale. A cache that declares contexts has them in
 * every key and every tag, and a call that has none of them is refused, so that it can not fall into a shared entry.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Key } from '../../connection/index.js';
import { InvalidCacheOptionsError } from '../cache.errors.js';
import { MissingCacheContextError } from './cacheable.errors.js';

/**
 * Says who or what a call is for. It is given the request where one is known: on cached routes, and everywhere in a
 * request that `CacheMiddleware` has seen. An AsyncLocalStorage of your own does as well.
 */
export type ContextResolver = (request: unknown) => string | number | undefined;

export type ContextResolvers = Readonly<Record<string, ContextResolver>>;

const requests = new AsyncLocalStorage<unknown>();

/** The request that is being served around the running code, if `CacheMiddleware` has seen it. */
function currentRequest(): unknown {
  return requests.getStore();
}

/** Runs `work`, and all it calls, as part of that request. */
export function withRequest<T>(request: unknown, work: () => T): T {
  return requests.run(request, work);
}

export class ContextSegments {
  readonly names: readonly string[];
  readonly #resolvers: readonly ContextResolver[];
  readonly #cache: string;

  constructor(cache: string, names: readonly string[], resolvers: ContextResolvers) {
    this.#cache = cache;
    this.names = names;
    this.#resolvers = names.map((name) => {
      const resolver = resolvers[name];
      if (typeof resolver === 'function') return resolver;
      throw new InvalidCacheOptionsError(`caches.${cache}: nothing resolves the context '${name}'`, {
        hint: `add it: contexts: { ${name}: (request) => … }`,
      });
    });
  }

  /** Names and values by turns. Throws when one of them is missing. */
  of(request: unknown = currentRequest()): readonly string[] {
    const segments: string[] = [];
    for (const [index, resolver] of this.#resolvers.entries()) {
      const name = this.names[index] ?? '';
      const value: unknown = resolver(request);
      if (value === undefined || value === null || value === '' || Number.isNaN(value))
        throw this.#missing(name, 'this call has none');
      // As a text all promises are one, and so are most objects: everybody would share one context.
      if (!isName(value)) throw this.#missing(name, `what resolves it has answered with ${kindOf(value)}`);
      segments.push(`@${name}`, String(value));
    }
    return segments;
  }

  #missing(name: string, problem: string): MissingCacheContextError {
    return new MissingCacheContextError(`the cache '${this.#cache}' is kept by ${name}, and ${problem}`, {
      hint: 'see that the call runs where the context is known, that it is resolved at once to a text or a number, or use a cache that does not declare it',
      details: { cache: this.#cache, context: name },
    });
  }
}

/** What is a different text when it is a different value. */
function isName(value: unknown): value is string | number | bigint | boolean {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value);
}

function kindOf(value: unknown): string {
  return value instanceof Promise ? 'a promise' : `a value of type ${typeof value}`;
}

export function keyWithin(segments: readonly string[], key: Key): Key {
  return [...segments, ...(typeof key === 'string' ? key.split(':') : key)];
}

/** Tags are texts; what stands in a value may not end its segment. */
export function tagWithin(segments: readonly string[], tag: string): string {
  return `${segments.map(encodeURIComponent).join(':')}:${tag}`;
}
