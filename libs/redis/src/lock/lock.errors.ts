/** What locks throw of their own. Errors of the work under a lock pass through unchanged. */
import { RedisModuleError } from '../core/index.js';

/** An option that can not be meant. */
export class InvalidLockOptionsError extends RedisModuleError {
  readonly code = 'INVALID_LOCK_OPTIONS';
}

/** A key that names nothing: empty, or with an `undefined` in it. */
export class InvalidLockKeyError extends RedisModuleError {
  readonly code = 'INVALID_LOCK_KEY';
}

/** Redis answers, and somebody else held the lock for as long as the caller would wait. */
export class LockBusyError extends RedisModuleError {
  readonly code = 'LOCK_BUSY';
}

/** Redis does not answer: nobody knows who holds the lock, so nobody gets it. */
export class LockUnavailableError extends RedisModuleError {
  readonly code = 'LOCK_UNAVAILABLE';
}

/** The lock ran out, or was taken away, before the work under it was done; also the reason of the `signal`. */
export class LockLostError extends RedisModuleError {
  readonly code = 'LOCK_LOST';
}

/** The work under a lock asked for that very lock: it would wait for itself. */
export class LockReentryError extends RedisModuleError {
  readonly code = 'LOCK_REENTRY';
}

/** The service was closed while somebody waited or worked. */
export class LockClosedError extends RedisModuleError {
  readonly code = 'LOCK_CLOSED';
}
