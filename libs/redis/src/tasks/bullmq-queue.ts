/**
 * The queue on Redis: BullMQ, with connections of its own. Whoever adds a task is told within a deadline whether it is
 * safe; workers wait as long as it takes.
 */
import type { Job, MinimalJob, Queue, RepeatOptions, Worker } from 'bullmq';
import {
  abortReason,
  DeadlineExceededError,
  systemClock,
  telemetryChannel,
  withDeadline,
  type Clock,
} from '../core/index.js';
import type { NativeRedis, TaskConnections } from '../connection/index.js';
import { parseCron } from './cron.js';
import { findJob, fromJobId, toJobId } from './job-ids.js';
import { keptFailure } from './kept-failure.js';
import { adding, perform, publishTask } from './perform.js';
import { RunningTasks } from './running-tasks.js';
import { timesOf } from './schedule-times.js';
import type { TaskPayload } from './task-payload.js';
import type {
  AddedTask,
  AddTask,
  TaskCounts,
  TaskData,
  TaskHandler,
  TaskInfo,
  TaskQueue,
  TaskSchedule,
  TaskState,
  TaskWorker,
  WorkOptions,
} from './task-queue.js';
import { TaskNotAddedError, TaskQueueClosedError } from './tasks.errors.js';
import {
  concurrencyOf,
  drainOf,
  FAREWELL_MS,
  limitOf,
  pauseAfter,
  resolveTask,
  type ResolvedBackoff,
  type ResolvedTasks,
} from './tasks.options.js';

type BullModule = Pick<typeof import('bullmq'), 'Queue' | 'Worker' | 'UnrecoverableError'>;

export interface BullmqQueueParts {
  /** How BullMQ is loaded: it is an optional package. */
  readonly load: () => Promise<BullModule>;
  readonly connections: TaskConnections;
  readonly settings: ResolvedTasks;
  readonly payload: TaskPayload;
  /** Before every key; with a hash tag, as a queue has to lie in one slot. */
  readonly prefix: string;
  /** Within this time `add` settles. */
  readonly timeoutMs: number;
  readonly clock?: Clock | undefined;
}

interface Opened {
  readonly bull: BullModule;
  readonly queue: Queue;
  readonly connection: NativeRedis;
}

interface Working {
  readonly worker: Worker;
  readonly connection: NativeRedis;
  readonly running: RunningTasks;
}

const STATES: Readonly<Record<string, TaskState>> = {
  waiting: 'waiting',
  prioritized: 'waiting',
  paused: 'waiting',
  delayed: 'delayed',
  active: 'active',
  completed: 'completed',
  failed: 'failed',
};

/** BullMQ looks for tasks of dead workers twice within a lease. */
const STALL_CHECKS_PER_LEASE = 2;

/** BullMQ's own `exponential` knows no longest pause. */
const DOUBLING = 'doubling';

/** Both sides plan what comes next: who schedules the first time, and who does a task the time after. */
const SETTINGS = { repeatStrategy: nextByCron, backoffStrategy: pauseOf };

export class BullmqQueue implements TaskQueue {
  readonly #parts: BullmqQueueParts;
  readonly #clock: Clock;
  readonly #telemetry = telemetryChannel('tasks');
  readonly #workers = new Set<TaskWorker>();
  #opening: Promise<Opened> | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;

  constructor(parts: BullmqQueueParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
  }

  get inUse(): boolean {
    return this.#opening !== undefined || this.#workers.size > 0;
  }

  async add<Name extends string>(
    name: Name,
    data: TaskData<Name>,
    options: AddTask = {},
  ): Promise<AddedTask> {
    const { settings, payload } = this.#parts;
    const plan = resolveTask(options, settings);
    const job = await adding(name, async (traceparent) => {
      const stored = await payload.encode(name, data, traceparent);
      return this.#ask(({ queue }) =>
        queue.add(name, stored, {
          delay: plan.delayMs,
          attempts: plan.attempts,
          backoff: toBullBackoff(plan.backoff),
          ...(plan.id === undefined ? {} : { jobId: toJobId(plan.id) }),
        }),
      );
    });
    return { id: plan.id ?? fromJobId(job.id), name };
  }

  async schedule<Name extends string>(
    id: string,
    name: Name,
    { every, cron, data, ...options }: TaskSchedule<TaskData<Name>>,
  ): Promise<void> {
    const { next, everyMs } = timesOf(every, cron);
    const { settings, payload } = this.#parts;
    const { attempts, backoff } = resolveTask(options, settings);
    const stored = await payload.encode(name, data);
    // Looked for at once, so that a day that never comes is refused; BullMQ begins intervals with a task.
    const startDate = next(this.#clock.wallNow());
    const repeat = everyMs === undefined ? { pattern: cron ?? '', tz: 'UTC' } : { every: everyMs, startDate };
    const template = { name, data: stored, opts: { attempts, backoff: toBullBackoff(backoff) } };
    await this.#ask(({ queue }) => queue.upsertJobScheduler(id, repeat, template));
  }

  unschedule(id: string): Promise<boolean> {
    return this.#ask(({ queue }) => queue.removeJobScheduler(id));
  }

  find(id: string): Promise<TaskInfo | undefined> {
    return this.#ask(async ({ queue }) => {
      const job = await findJob(queue, id);
      return job === undefined ? undefined : this.#infoOf(queue, job);
    });
  }

  counts(): Promise<TaskCounts> {
    return this.#ask(async ({ queue }) => {
      const found = await queue.getJobCounts(
        'waiting',
        'prioritized',
        'delayed',
        'active',
        'completed',
        'failed',
      );
      const of = (name: string): number => found[name] ?? 0;
      return {
        waiting: of('waiting') + of('prioritized'),
        delayed: of('delayed'),
        active: of('active'),
        completed: of('completed'),
        failed: of('failed'),
      };
    });
  }

  async failed(limit = 50): Promise<TaskInfo[]> {
    const last = limitOf(limit) - 1;
    return this.#ask(async ({ queue }) => {
      const jobs = await queue.getFailed(0, last);
      return Promise.all(jobs.map((job) => this.#infoOf(queue, job as Job)));
    });
  }

  retry(id: string): Promise<boolean> {
    return this.#ask(async ({ queue }) => {
      const job = await findJob(queue, id);
      if (job === undefined || !(await job.isFailed())) return false;
      const again = job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true });
      return again.then(
        () => true,
        async (error: unknown) => {
          if (await job.isFailed()) throw error;
          // Somebody else was faster.
          return false;
        },
      );
    });
  }

  remove(id: string): Promise<boolean> {
    return this.#ask(async ({ queue }) => {
      const job = await findJob(queue, id);
      if (job === undefined || (await job.isActive())) return false;
      return job.remove().then(
        () => true,
        // A worker has taken it meanwhile, or it is that of a schedule; unless nobody can say.
        () => job.isActive().then(() => false),
      );
    });
  }

  work(handlers: ReadonlyMap<string, TaskHandler>, options: WorkOptions = {}): TaskWorker {
    if (this.#closing !== undefined) throw closed();
    const concurrency = concurrencyOf(options, this.#parts.settings);
    const working = this.#open(handlers, concurrency);
    const ready = working.then(() => undefined);
    // Who does not look at `ready` hears of it in `close`, and must not be ended by it before.
    ready.catch(() => undefined);
    let stopping: Promise<void> | undefined;
    const stop = async (drainMs: number): Promise<void> => {
      try {
        await this.#stop(await working, drainMs);
      } finally {
        this.#workers.delete(worker);
      }
    };
    const worker: TaskWorker = {
      ready,
      close: async (closing) => {
        const drainMs = drainOf(closing, this.#parts.settings);
        await (stopping ??= stop(drainMs));
      },
    };
    this.#workers.add(worker);
    return worker;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #open(handlers: ReadonlyMap<string, TaskHandler>, concurrency: number): Promise<Working> {
    const { load, connections, settings, prefix, payload } = this.#parts;
    const { Worker: BullWorker, UnrecoverableError } = await load();
    const connection = await connections.worker();
    const running = new RunningTasks(this.#clock);
    const process = (job: Job): Promise<unknown> =>
      running.during(fromJobId(job.id), async (signal) => {
        const result = await this.#process(job, handlers, signal);
        if (result.ok) return result.stored;
        throw await keptFailure(result, { name: job.name, payload, Unrecoverable: UnrecoverableError });
      });
    const worker = new BullWorker(settings.queue, process, {
      connection,
      prefix,
      concurrency,
      lockDuration: settings.leaseMs,
      stalledInterval: Math.ceil(settings.leaseMs / STALL_CHECKS_PER_LEASE),
      // A task that kills whoever does it is parked like one that fails.
      maxStalledCount: Math.max(0, settings.attempts - 1),
      removeOnComplete: { count: settings.keepCompleted },
      removeOnFail: { count: settings.keepFailed },
      settings: SETTINGS,
    });
    worker.on('error', () => undefined);
    worker.on('lockRenewalFailed', (ids: string[]) => {
      for (const id of ids) running.abort(fromJobId(id), lost());
    });
    return { worker, connection, running };
  }

  async #process(job: Job, handlers: ReadonlyMap<string, TaskHandler>, signal: AbortSignal) {
    const startedAt = this.#clock.now();
    const done = await perform(handlers, {
      id: fromJobId(job.id),
      name: job.name,
      payload: this.#parts.payload,
      stored: job.data,
      attempt: job.attemptsMade + 1,
      signal,
      tell: (stored) => job.updateProgress(stored as object),
    });
    publishTask(this.#telemetry, done, { name: job.name, durationMs: this.#clock.now() - startedAt });
    return done;
  }

  async #stop({ worker, connection, running }: Working, drainMs: number): Promise<void> {
    const patience = this.#clock.after(drainMs, () => running.abortAll(closed()), { keepAlive: true });
    // With Redis away BullMQ would wait for it, and so would the process: also when Redis went away after the question,
    // or came back while the worker waited on its own connection. Nothing can be said of a task then: it is given to
    // another worker when its lease is over.
    const closing = worker.close(connection.status !== 'ready');
    // Its own connection may be between two attempts to connect: there is no socket then whose end it would hear.
    const silence = running.silence(FAREWELL_MS);
    await withDeadline(closing, {
      timeoutMs: drainMs + FAREWELL_MS,
      what: 'the end of a worker',
      signal: silence.signal,
      clock: this.#clock,
    }).catch(() => {
      closing.catch(() => undefined);
      worker.disconnect().catch(() => undefined);
    });
    silence.stop();
    patience.cancel();
    connection.disconnect();
  }

  async #close(): Promise<void> {
    try {
      await Promise.all([...this.#workers].map((worker) => worker.close()));
    } finally {
      // What was under way may add tasks until it has ended.
      this.#closed = true;
      await this.#closeQueue();
    }
  }

  async #closeQueue(): Promise<void> {
    if (this.#opening === undefined) return;
    const { queue, connection } = await this.#opening;
    await withDeadline(queue.close(), {
      timeoutMs: FAREWELL_MS,
      what: 'the end of the queue',
      clock: this.#clock,
    }).catch(() => undefined);
    connection.disconnect();
  }

  /** The queue, when it can be asked: what is not sent within the deadline is never sent. */
  async #ask<T>(work: (opened: Opened) => Promise<T>): Promise<T> {
    if (this.#closed) throw closed();
    const { timeoutMs } = this.#parts;
    try {
      return await withDeadline(
        async (signal) => {
          const opened = await this.#opened();
          await opened.queue.waitUntilReady();
          if (signal.aborted) throw abortReason(signal);
          return work(opened);
        },
        { timeoutMs, what: 'a call to the task queue', clock: this.#clock },
      );
    } catch (error) {
      if (error instanceof TaskQueueClosedError) throw error;
      throw notAdded(error, timeoutMs);
    }
  }

  #opened(): Promise<Opened> {
    this.#opening ??= this.#connect().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #connect(): Promise<Opened> {
    const { load, connections, settings, prefix, timeoutMs } = this.#parts;
    const bull = await load();
    const connection = await connections.producer(timeoutMs);
    const queue = new bull.Queue(settings.queue, {
      connection,
      prefix,
      defaultJobOptions: {
        removeOnComplete: { count: settings.keepCompleted },
        removeOnFail: { count: settings.keepFailed },
      },
      settings: SETTINGS,
    });
    queue.on('error', () => undefined);
    return { bull, queue, connection };
  }

  async #infoOf(queue: Queue, read: Job): Promise<TaskInfo> {
    const { payload } = this.#parts;
    const data = await payload.look(read.name, read.data);
    const state = STATES[await read.getState()] ?? 'waiting';
    // It may have ended between the two looks: what was read then knows nothing of its result.
    const isOld = (state === 'completed' || state === 'failed') && typeof read.finishedOn !== 'number';
    const job = isOld && read.id !== undefined ? (((await queue.getJob(read.id)) ?? read) as Job) : read;
    return {
      id: fromJobId(job.id),
      name: job.name,
      data,
      state,
      attempts: job.attemptsMade,
      // BullMQ says 0 where nothing was told.
      progress:
        job.progress === 0 ? undefined : await payload.decodeOutcome('progress', job.name, job.progress),
      result: await payload.decodeOutcome('result', job.name, job.returnvalue),
      failure: await payload.decodeFailure(job.name, job.failedReason),
      addedAt: job.timestamp,
    };
  }
}

function toBullBackoff({ type, delayMs }: ResolvedBackoff): { type: string; delay: number } {
  return { type: type === 'exponential' ? DOUBLING : type, delay: delayMs };
}

function pauseOf(failures: number, _type?: string, _error?: Error, job?: MinimalJob): number {
  const backoff = job?.opts.backoff;
  const delayMs = typeof backoff === 'object' ? (backoff.delay ?? 0) : 0;
  return pauseAfter(failures, { type: 'exponential', delayMs });
}

/** BullMQ's own reader of cron takes some days for others, so that a schedule would move with its queue. */
function nextByCron(after: number, { pattern = '' }: RepeatOptions): number {
  return parseCron(pattern).next(after);
}

function notAdded(cause: unknown, timeoutMs: number): TaskNotAddedError {
  const why = cause instanceof DeadlineExceededError ? `within ${timeoutMs} ms` : 'as asked';
  return new TaskNotAddedError(`the task queue did not answer ${why}`, {
    hint: 'give the task an id and add it again: one id is one task',
    cause,
  });
}

function closed(): TaskQueueClosedError {
  return new TaskQueueClosedError('the task queue was closed', { hint: 'it is not opened again' });
}

function lost(): TaskQueueClosedError {
  return new TaskQueueClosedError('the task was given to another worker', {
    hint: 'the lease could not be renewed in time; stop, and let the other one finish',
  });
}
