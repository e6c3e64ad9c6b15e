import { RedisModuleError } from '../core/index.js';

/** A package that only this feature needs is not installed. */
export class MissingPeerError extends RedisModuleError {
  readonly code = 'MISSING_PEER';
}
