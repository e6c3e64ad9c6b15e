import { RedisModuleError } from '../core/index.js';

/** It was destroyed, revoked or has expired meanwhile: nothing was stored, and it does not come back. */
export class SessionGoneError extends RedisModuleError {
  readonly code = 'SESSION_GONE';
}

/** Somebody else has changed it since it was read, and `conflict` is `'refuse'`. */
export class SessionConflictError extends RedisModuleError {
  readonly code = 'SESSION_CONFLICT';
}

/** The user has as many sessions as may be, and `onTooMany` is `'refuse'`. */
export class TooManySessionsError extends RedisModuleError {
  readonly code = 'TOO_MANY_SESSIONS';
}

/**
 * Whether there is such a session can not be told now. Answer 503: who is not known to be logged out must not be taken
 * for a stranger, nor the other way round.
 */
export class SessionUnavailableError extends RedisModuleError {
  readonly code = 'SESSION_UNAVAILABLE';
  /** For frameworks that look for it. */
  readonly statusCode = 503;
  readonly status = 503;
}

export class InvalidSessionOptionsError extends RedisModuleError {
  readonly code = 'INVALID_SESSION_OPTIONS';
}

/** Data that can not be kept in a session. */
export class InvalidSessionDataError extends RedisModuleError {
  readonly code = 'INVALID_SESSION_DATA';
}
