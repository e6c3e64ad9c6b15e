export { logCleanup, type CleanupLogger } from './cleanup-log.js';
export type {
  CleanupCounts,
  CleanupNodeReport,
  CleanupOutcome,
  CleanupProgress,
  CleanupReport,
} from './cleanup-report.js';
export { CLEANUP_INTERVAL, CleanupSchedule } from './cleanup-schedule.explorer.js';
export { CleanupService, type CleanupParts, type CleanupRunOptions } from './cleanup-service.js';
export { CleanupFailedError, InvalidCleanupOptionsError } from './cleanup.errors.js';
export {
  CLEANUP_DEFAULTS,
  resolveCleanup,
  type CleanupOptions,
  type ResolvedCleanup,
} from './cleanup.options.js';
export type { CleanupHome } from './sweep.js';
