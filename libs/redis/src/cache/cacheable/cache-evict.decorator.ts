/** `@CacheEvict`: what the method changes is invalidated before its caller goes on. */
import { InvalidCacheOptionsError } from '../cache.errors.js';
import { callAndEvict } from './cacheable-call.js';
import { decorate, type CachedMethodDecorator } from './cacheable.decorator.js';
import type { CacheEvictOptions } from './cacheable.options.js';

/**
 * After the method has succeeded, unless `beforeInvocation` is set. Several may stand on one method.
 *
 * ```ts
 * @CacheEvict({ tags: (userId: string) => [`user:${userId}`] })
 * add(userId: string, book: Book): Promise<void> { … }
 * ```
 */
export function CacheEvict<Args extends readonly unknown[]>(
  options: CacheEvictOptions<Args>,
): CachedMethodDecorator<Args> {
  const { key, tags, prefix, all } = options;
  if (key === undefined && tags === undefined && prefix === undefined && all !== true) {
    throw new InvalidCacheOptionsError('@CacheEvict: nothing says what to invalidate', {
      hint: 'give it a key, tags, a prefix, or all: true',
    });
  }
  return decorate<Args>({ kind: 'CacheEvict', defaultKey: false, cache: options.cache }, (call) =>
    callAndEvict(call, options),
  );
}
