/** What code written for another package asks for, and can not have here. */
import { RedisModuleError } from '../core/index.js';

export class CompatError extends RedisModuleError {
  readonly code = 'COMPAT';
}
