export type { HeldLock } from './hold.js';
export { currentLock } from './lock-context.js';
export { lockCleanup } from './lock.cleanup.js';
export { Lock, type LockKeyOf } from './lock.decorator.js';
export {
  InvalidLockKeyError,
  InvalidLockOptionsError,
  LockBusyError,
  LockClosedError,
  LockLostError,
  LockReentryError,
  LockUnavailableError,
} from './lock.errors.js';
export { LOCK_DEFAULTS, resolveLock, type LockCallOptions, type LockOptions } from './lock.options.js';
export { leaveScript, releaseScript, renewScript, takeInOrderScript, takeScript } from './lock.scripts.js';
export { LockService, type AcquiredLock, type LockSurroundings } from './lock-service.js';
