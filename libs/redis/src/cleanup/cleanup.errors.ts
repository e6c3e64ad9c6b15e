/** What the clean-up throws of its own. */
import { RedisModuleError, type RedisModuleErrorOptions } from '../core/index.js';
import type { CleanupReport } from './cleanup-report.js';

/** An option that can not be meant. */
export class InvalidCleanupOptionsError extends RedisModuleError {
  readonly code = 'INVALID_CLEANUP_OPTIONS';
}

/** A run came to an end before it was through. What it did is done, and the next run does the rest. */
export class CleanupFailedError extends RedisModuleError {
  readonly code = 'CLEANUP_FAILED';
  /** How far it came. */
  readonly report: CleanupReport;

  constructor(message: string, report: CleanupReport, options: RedisModuleErrorOptions) {
    super(message, options);
    this.report = report;
  }
}
