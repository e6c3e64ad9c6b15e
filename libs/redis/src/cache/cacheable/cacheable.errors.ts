/** What `@Cacheable`, `@CachePut` and `@CacheEvict` refuse. */
import { RedisModuleError } from '../../core/index.js';

/** A method that can not be cached as it stands: it is synchronous, static, or answers in another way. */
export class CacheableMethodError extends RedisModuleError {
  readonly code = 'CACHEABLE_METHOD';
}

/** An argument says nothing certain about itself, so no key can be made of it. */
export class UnkeyableArgumentError extends RedisModuleError {
  readonly code = 'CACHE_ARGUMENT_UNKEYABLE';
}

/** The cache is kept by tenant, user or the like, and this call has none: nothing is read and nothing stored. */
export class MissingCacheContextError extends RedisModuleError {
  readonly code = 'CACHE_CONTEXT_MISSING';
}
