import { RedisModuleError } from '../../core/index.js';

/** The options of the stats endpoint can not be meant. */
export class InvalidStatsOptionsError extends RedisModuleError {
  readonly code = 'INVALID_STATS_OPTIONS';
}
