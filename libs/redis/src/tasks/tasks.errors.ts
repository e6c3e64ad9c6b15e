import { RedisModuleError } from '../core/index.js';

/** Redis did not answer in time. Give the task an id and add it again: one id is one task. */
export class TaskNotAddedError extends RedisModuleError {
  readonly code = 'TASK_NOT_ADDED';
}

/** The queue was closed. */
export class TaskQueueClosedError extends RedisModuleError {
  readonly code = 'TASK_QUEUE_CLOSED';
}

export class InvalidTaskError extends RedisModuleError {
  readonly code = 'INVALID_TASK';
}

/** Throw it in a handler: the task fails for good, whatever attempts are left. */
export class PermanentTaskError extends RedisModuleError {
  readonly code = 'TASK_PERMANENT';
}

/** Nobody here knows how to do tasks of that name. */
export class UnknownTaskError extends RedisModuleError {
  readonly code = 'UNKNOWN_TASK';
}
