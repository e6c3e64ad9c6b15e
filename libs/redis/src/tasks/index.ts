export { parseCron, type Cron } from './cron.js';
export { createTaskQueue, type CreateTaskQueue } from './create-task-queue.js';
export type {
  AddedTask,
  AddTask,
  RunningTask,
  TaskBackoff,
  TaskCounts,
  TaskData,
  TaskHandler,
  TaskInfo,
  TaskQueue,
  TaskSchedule,
  TaskState,
  TaskTypes,
  TaskWorker,
  WorkOptions,
} from './task-queue.js';
export { Task } from './task.decorator.js';
export { TaskExplorer } from './task.explorer.js';
export {
  InvalidTaskError,
  PermanentTaskError,
  TaskNotAddedError,
  TaskQueueClosedError,
  UnknownTaskError,
} from './tasks.errors.js';
export { resolveTasks, TASK_DEFAULTS, type ResolvedTasks, type TaskOptions } from './tasks.options.js';
export { InjectTaskQueue, TASK_QUEUE } from './tasks.tokens.js';
