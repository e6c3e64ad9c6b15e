import { parseDuration, parsePositiveDuration, type Duration } from '../core/index.js';
import { InvalidTaskError } from './tasks.errors.js';
import type { AddTask, TaskBackoff, WorkOptions } from './task-queue.js';

export interface TaskOptions {
  /** Queues of different names share nothing. @default 'default' */
  readonly queue?: string | undefined;
  /** How many tasks a worker does at once. @default 10 */
  readonly concurrency?: number | undefined;
  /** How often a task is tried in all. @default 3 */
  readonly attempts?: number | undefined;
  /** The pause before it is tried again. @default '1s', doubling */
  readonly backoff?: Duration | TaskBackoff | undefined;
  /** How many tasks that are done are kept, for `find` and against adding an id twice. @default 1000 */
  readonly keepCompleted?: number | undefined;
  /** How many that failed for good are kept. @default 10000 */
  readonly keepFailed?: number | undefined;
  /** A worker that has not been heard of for this long has died: its tasks are given to another one. @default '30s' */
  readonly lease?: Duration | undefined;
  /** How long the tasks under way may take to finish when a worker closes, before they are aborted. @default '10s' */
  readonly drain?: Duration | undefined;
}

export interface ResolvedTasks {
  readonly queue: string;
  readonly concurrency: number;
  readonly attempts: number;
  readonly backoff: ResolvedBackoff;
  readonly keepCompleted: number;
  readonly keepFailed: number;
  readonly leaseMs: number;
  readonly drainMs: number;
}

export interface ResolvedBackoff {
  readonly type: 'exponential' | 'fixed';
  readonly delayMs: number;
}

export interface ResolvedTask {
  readonly delayMs: number;
  readonly attempts: number;
  readonly backoff: ResolvedBackoff;
  readonly id: string | undefined;
}

export const TASK_DEFAULTS = {
  queue: 'default',
  concurrency: 10,
  attempts: 3,
  backoff: '1s',
  keepCompleted: 1_000,
  keepFailed: 10_000,
  lease: '30s',
  drain: '10s',
} as const satisfies TaskOptions;

/** What a worker waits for tasks whose signal it has aborted, and for goodbyes. */
export const FAREWELL_MS = 2_000;
/** Doubling ends here: a longer pause is no pause but a loss. */
const LONGEST_BACKOFF_MS = 3_600_000;
const QUEUE_NAME = /^[\w.-]{1,100}$/u;
/** Half a surrogate pair has no bytes of its own, so that two such ids would be one. */
const ID = /^[^\s\p{Surrogate}]{1,200}$/u;

export function resolveTasks(options: TaskOptions = {}): ResolvedTasks {
  const queue = options.queue ?? TASK_DEFAULTS.queue;
  if (!QUEUE_NAME.test(queue)) {
    throw new InvalidTaskError(`tasks.queue: '${queue}' is not a name`, {
      hint: 'letters, digits, - _ and .',
    });
  }
  return {
    queue,
    concurrency: count(options.concurrency ?? TASK_DEFAULTS.concurrency, 'concurrency'),
    attempts: count(options.attempts ?? TASK_DEFAULTS.attempts, 'attempts'),
    backoff: resolveBackoff(options.backoff ?? TASK_DEFAULTS.backoff),
    keepCompleted: count(options.keepCompleted ?? TASK_DEFAULTS.keepCompleted, 'keepCompleted'),
    keepFailed: count(options.keepFailed ?? TASK_DEFAULTS.keepFailed, 'keepFailed'),
    leaseMs: parsePositiveDuration(options.lease ?? TASK_DEFAULTS.lease, 'tasks.lease'),
    drainMs: parseDuration(options.drain ?? TASK_DEFAULTS.drain, 'tasks.drain'),
  };
}

export function resolveTask(options: AddTask, defaults: ResolvedTasks): ResolvedTask {
  const { id } = options;
  if (id !== undefined && !ID.test(id)) {
    throw new InvalidTaskError(
      'the id of a task is empty, longer than 200 characters or has white space or half a character in it',
    );
  }
  return {
    delayMs: options.delay === undefined ? 0 : parseDuration(options.delay, 'delay'),
    attempts: count(options.attempts ?? defaults.attempts, 'attempts'),
    backoff: options.backoff === undefined ? defaults.backoff : resolveBackoff(options.backoff),
    id,
  };
}

export function concurrencyOf(options: WorkOptions, defaults: ResolvedTasks): number {
  return count(options.concurrency ?? defaults.concurrency, 'concurrency');
}

export function drainOf(options: { drain?: Duration } | undefined, { drainMs }: ResolvedTasks): number {
  return options?.drain === undefined ? drainMs : parseDuration(options.drain, 'drain');
}

/** The pause before the attempt after this many have failed. */
export function pauseAfter(failures: number, { type, delayMs }: ResolvedBackoff): number {
  if (type === 'fixed') return delayMs;
  return Math.max(delayMs, Math.min(LONGEST_BACKOFF_MS, delayMs * 2 ** Math.min(failures - 1, 30)));
}

/** @throws InvalidTaskError unless that many can be listed */
export function limitOf(limit: number): number {
  return count(limit, 'failed');
}

function resolveBackoff(backoff: Duration | TaskBackoff): ResolvedBackoff {
  const { delay, type = 'exponential' } = typeof backoff === 'object' ? backoff : { delay: backoff };
  return { type, delayMs: parseDuration(delay, 'backoff') };
}

function count(value: number, name: string): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidTaskError(`tasks.${name}: ${value} is not a whole number above 0`);
}
