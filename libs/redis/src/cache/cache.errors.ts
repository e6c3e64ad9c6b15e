/** What the cache throws of its own. Errors of a loader pass through unchanged. */
import { RedisModuleError } from '../core/index.js';

/** An option of the cache that can not be meant; thrown when the cache is made, or by the call that has it. */
export class InvalidCacheOptionsError extends RedisModuleError {
  readonly code = 'INVALID_CACHE_OPTIONS';
}

/** A key or a tag that names nothing: empty, or with an `undefined` in it. */
export class InvalidCacheKeyError extends RedisModuleError {
  readonly code = 'INVALID_CACHE_KEY';
}

/** The loader did not answer within `timeout.hard`; its `signal` is aborted with this error. */
export class CacheLoadTimeoutError extends RedisModuleError {
  readonly code = 'CACHE_LOAD_TIMEOUT';
}

/** A loader asked, directly or through other loaders, for the very key it is loading: it would wait for itself. */
export class RecursiveLoadError extends RedisModuleError {
  readonly code = 'CACHE_RECURSIVE_LOAD';
}

/** The cache was disconnected while a load was under way. */
export class CacheClosedError extends RedisModuleError {
  readonly code = 'CACHE_CLOSED';
}
