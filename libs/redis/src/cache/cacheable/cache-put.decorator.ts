/** `@CachePut`: the method always runs, and what it returns replaces the stored value. */
import { callAndPut } from './cacheable-call.js';
import { decorate, type CachedMethodDecorator } from './cacheable.decorator.js';
import { loadOptionsOf, type CachePutOptions } from './cacheable.options.js';

/**
 * Of two calls at the same time the one that ends later counts; where that is not certain to be right, use
 * `@CacheEvict`.
 *
 * ```ts
 * @CachePut({ key: (book: Book) => ['book', book.id] })
 * save(book: Book): Promise<Book> { … }
 * ```
 */
export function CachePut<Args extends readonly unknown[]>(
  options: CachePutOptions<Args>,
): CachedMethodDecorator<Args> {
  loadOptionsOf(options.ttl === undefined ? {} : { ttl: options.ttl });
  return decorate<Args>({ kind: 'CachePut', defaultKey: false, cache: options.cache }, (call) =>
    callAndPut(call, options),
  );
}
