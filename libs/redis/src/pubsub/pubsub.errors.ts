/** What pub/sub throws of its own. Errors of a handler stay with the handler. */
import { RedisModuleError } from '../core/index.js';

/** An option that can not be meant, or two that do not go together. */
export class InvalidPubSubOptionsError extends RedisModuleError {
  readonly code = 'INVALID_PUBSUB_OPTIONS';
}

/** More messages came than the buffer holds, and `overflow: 'error'` was asked for. */
export class PubSubOverflowError extends RedisModuleError {
  readonly code = 'PUBSUB_OVERFLOW';
}

/** The service was closed. */
export class PubSubClosedError extends RedisModuleError {
  readonly code = 'PUBSUB_CLOSED';
}
