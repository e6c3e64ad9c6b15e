/** What the codec throws: at the caller who stores, or at start-up. Reading from Redis never throws: it misses. */
import { RedisModuleError } from '../core/index.js';

/** The value can not be stored: the message names the place in it (`$.user.avatar`), never what stands there. */
export class UnserializableValueError extends RedisModuleError {
  readonly code = 'VALUE_UNSERIALIZABLE';
}

/** The stored text or bytes can not be turned into a value. */
export class UnreadableValueError extends RedisModuleError {
  readonly code = 'VALUE_UNREADABLE';
}

/** An option of the codec that can not be meant; thrown when the codec is created. */
export class InvalidCodecOptionsError extends RedisModuleError {
  readonly code = 'INVALID_CODEC_OPTIONS';
}
