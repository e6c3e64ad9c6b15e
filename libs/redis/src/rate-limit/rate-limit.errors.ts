/** What the limiter throws of its own. A denial is an answer and not an error. */
import { RedisModuleError } from '../core/index.js';

/** A limit, a cost or a subject that can not be meant. */
export class InvalidRateLimitError extends RedisModuleError {
  readonly code = 'INVALID_RATE_LIMIT';
}
