/**
 * Work that is done later, by whoever has time: added here, done by a worker in this process or another one, at least
 * once. Redis keeps it through BullMQ; the embedded default keeps it in this process.
 */
import type { Duration } from '../core/index.js';

/**
 * What tasks carry, by name. Extend it and `add('invoice', …)` knows its data:
 * `declare module '@anbar/nestjs-redis/tasks' { interface TaskTypes { invoice: { orderId: string } } }`
 */
export interface TaskTypes {}

export type TaskData<Name extends string> = Name extends keyof TaskTypes ? TaskTypes[Name] : unknown;

export interface TaskBackoff {
  readonly delay: Duration;
  /** `exponential` doubles the pause with every attempt. @default 'exponential' */
  readonly type?: 'exponential' | 'fixed' | undefined;
}

export interface AddTask {
  /** Not before this time has passed. */
  readonly delay?: Duration | undefined;
  /** How often it is tried in all. @default `tasks.attempts`, 3 */
  readonly attempts?: number | undefined;
  /** The pause before it is tried again. @default `tasks.backoff`, 1 s, doubling */
  readonly backoff?: Duration | TaskBackoff | undefined;
  /** Names the task: while one of this id is kept, waiting or done, adding it again adds nothing. */
  readonly id?: string | undefined;
}

export interface AddedTask {
  readonly id: string;
  readonly name: string;
}

export interface TaskSchedule<Data = unknown> {
  /** Again and again after this time, the first time too… */
  readonly every?: Duration | undefined;
  /**
   * …or by minute, hour, day, month and weekday, in UTC: `'0 3 * * *'`. Of a day and a weekday either will do,
   * unless one begins with `*`.
   */
  readonly cron?: string | undefined;
  readonly data?: Data | undefined;
  readonly attempts?: number | undefined;
  readonly backoff?: Duration | TaskBackoff | undefined;
}

export type TaskState = 'waiting' | 'delayed' | 'active' | 'completed' | 'failed';

export interface TaskInfo {
  readonly id: string;
  readonly name: string;
  /** Undefined also where this process can not read it, as without the key it was sealed with. */
  readonly data: unknown;
  readonly state: TaskState;
  /** Attempts that have ended. */
  readonly attempts: number;
  /** What the handler told last. */
  readonly progress: unknown;
  /** A copy of what the handler returned, or undefined where that can not be stored. */
  readonly result: unknown;
  /** Message of the last failure. */
  readonly failure: string | undefined;
  readonly addedAt: number;
}

export type TaskCounts = Readonly<Record<TaskState, number>>;

/** A task while it is done. */
export interface RunningTask<Data = unknown> {
  readonly id: string;
  readonly name: string;
  readonly data: Data;
  /** From 1. */
  readonly attempt: number;
  /** Aborted when the worker shuts down and can not wait, or when the task was given to another worker. */
  readonly signal: AbortSignal;
  /** Tells how far it is; seen in `find`. It never rejects: what can not be stored or told is left out. */
  readonly progress: (value: unknown) => Promise<void>;
}

export type TaskHandler<Data = unknown> = (task: RunningTask<Data>) => unknown;

export interface WorkOptions {
  /** How many tasks at once. @default `tasks.concurrency`, 10 */
  readonly concurrency?: number | undefined;
}

export interface TaskWorker {
  /** Settles when it looks for tasks; rejects when it never will, as without the package it needs. */
  readonly ready: Promise<void>;
  /**
   * Takes no more tasks, lets those under way finish for at most `drain`, then aborts them, and waits for two
   * seconds more.
   * @default that of the queue, 10 s
   */
  close(options?: { drain?: Duration }): Promise<void>;
}

export interface TaskQueue {
  /** Tasks were added or are done in this process: to ask the queue makes no connection just for that. */
  readonly inUse: boolean;
  /** Settles when the task is safe. @throws TaskNotAddedError when Redis does not answer in time */
  add<Name extends string>(name: Name, data: TaskData<Name>, options?: AddTask): Promise<AddedTask>;
  /** One schedule per id: the same id again replaces it. */
  schedule<Name extends string>(
    id: string,
    name: Name,
    schedule: TaskSchedule<TaskData<Name>>,
  ): Promise<void>;
  /** @returns whether there was one */
  unschedule(id: string): Promise<boolean>;
  find(id: string): Promise<TaskInfo | undefined>;
  counts(): Promise<TaskCounts>;
  /** Tasks that failed for good, the latest first: they stay until `retry` or `remove`, or until too many followed. */
  failed(limit?: number): Promise<TaskInfo[]>;
  /** Does a failed task again, with all its attempts. @returns whether there was one */
  retry(id: string): Promise<boolean>;
  /** @returns whether there was one that nobody is doing */
  remove(id: string): Promise<boolean>;
  /** Does tasks of these names in this process. Tasks of other names fail: give all handlers to one worker. */
  work(handlers: ReadonlyMap<string, TaskHandler>, options?: WorkOptions): TaskWorker;
  /** Closes its workers, and then what it opened: until they have ended, tasks may still be added. */
  close(): Promise<void>;
}
