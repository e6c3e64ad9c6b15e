/** The queue of the embedded default: this process only, gone at its exit, and else as the one on Redis. */
import { randomUUID } from 'node:crypto';
import { systemClock, telemetryChannel, withDeadline, type Clock, type Timer } from '../core/index.js';
import { adding, perform, publishTask, type Performed } from './perform.js';
import { timesOf } from './schedule-times.js';
import type { TaskGate } from './task-gate.js';
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
import { TaskQueueClosedError } from './tasks.errors.js';
import {
  concurrencyOf,
  drainOf,
  FAREWELL_MS,
  limitOf,
  pauseAfter,
  resolveTask,
  type ResolvedTask,
  type ResolvedTasks,
} from './tasks.options.js';

interface Kept {
  readonly id: string;
  readonly name: string;
  readonly stored: unknown;
  readonly plan: ResolvedTask;
  readonly addedAt: number;
  state: TaskState;
  attempts: number;
  /** Both as the payload gave them. */
  progress: unknown;
  result: unknown;
  failure: string | undefined;
  timer: Timer | undefined;
}

interface Working {
  readonly handlers: ReadonlyMap<string, TaskHandler>;
  readonly concurrency: number;
  readonly running: Map<Promise<void>, AbortController>;
  open: boolean;
}

interface Planned {
  readonly name: string;
  readonly next: (after: number) => number;
  readonly stored: unknown;
  readonly plan: ResolvedTask;
  readonly everyMs: number | undefined;
  due: number;
  timer: Timer | undefined;
}

export interface EmbeddedQueueParts {
  readonly settings: ResolvedTasks;
  readonly payload: TaskPayload;
  readonly clock?: Clock | undefined;
  readonly gate?: TaskGate | undefined;
}

export class EmbeddedQueue implements TaskQueue {
  readonly #settings: ResolvedTasks;
  readonly #payload: TaskPayload;
  readonly #clock: Clock;
  readonly #gate: TaskGate | undefined;
  readonly #telemetry = telemetryChannel('tasks');
  readonly #tasks = new Map<string, Kept>();
  readonly #waiting: Kept[] = [];
  readonly #workers = new Set<Working>();
  readonly #schedules = new Map<string, Planned>();
  #closing: Promise<void> | undefined;
  #closed = false;

  constructor({ settings, payload, clock = systemClock, gate }: EmbeddedQueueParts) {
    this.#settings = settings;
    this.#payload = payload;
    this.#clock = clock;
    this.#gate = gate;
  }

  get inUse(): boolean {
    return this.#tasks.size > 0 || this.#workers.size > 0;
  }

  async add<Name extends string>(
    name: Name,
    data: TaskData<Name>,
    options: AddTask = {},
  ): Promise<AddedTask> {
    const plan = resolveTask(options, this.#settings);
    return adding(name, async (traceparent) => {
      const stored = await this.#payload.encode(name, data, traceparent);
      await this.#gate?.pass();
      if (this.#closed) throw closed();
      return this.#keep(name, stored, plan);
    });
  }

  async schedule<Name extends string>(
    id: string,
    name: Name,
    { every, cron, data, ...options }: TaskSchedule<TaskData<Name>>,
  ): Promise<void> {
    const { next, everyMs } = timesOf(every, cron);
    const plan = resolveTask(options, this.#settings);
    const stored = await this.#payload.encode(name, data);
    await this.#gate?.pass();
    if (this.#closed) throw closed();
    const before = this.#schedules.get(id);
    // The same again, as at every boot, is no reason to wait anew.
    const isSame = everyMs !== undefined && before?.everyMs === everyMs;
    const due = isSame ? before.due : next(this.#clock.wallNow());
    before?.timer?.cancel();
    const planned: Planned = { name, next, stored, plan, everyMs, due, timer: undefined };
    this.#schedules.set(id, planned);
    this.#plan(planned);
  }

  async unschedule(id: string): Promise<boolean> {
    await this.#gate?.pass();
    this.#schedules.get(id)?.timer?.cancel();
    return this.#schedules.delete(id);
  }

  async find(id: string): Promise<TaskInfo | undefined> {
    await this.#gate?.pass();
    const kept = this.#tasks.get(id);
    return kept === undefined ? undefined : this.#infoOf(kept);
  }

  async counts(): Promise<TaskCounts> {
    await this.#gate?.pass();
    const counts = { waiting: 0, delayed: 0, active: 0, completed: 0, failed: 0 };
    for (const { state } of this.#tasks.values()) counts[state] += 1;
    return counts;
  }

  async failed(limit = 50): Promise<TaskInfo[]> {
    await this.#gate?.pass();
    const failed = [...this.#tasks.values()].filter(({ state }) => state === 'failed').toReversed();
    return Promise.all(failed.slice(0, limitOf(limit)).map((kept) => this.#infoOf(kept)));
  }

  async retry(id: string): Promise<boolean> {
    await this.#gate?.pass();
    const kept = this.#tasks.get(id);
    if (kept?.state !== 'failed') return false;
    kept.attempts = 0;
    this.#enqueue(kept);
    return true;
  }

  async remove(id: string): Promise<boolean> {
    await this.#gate?.pass();
    const kept = this.#tasks.get(id);
    if (kept === undefined || kept.state === 'active') return false;
    kept.timer?.cancel();
    const at = this.#waiting.indexOf(kept);
    if (at !== -1) this.#waiting.splice(at, 1);
    return this.#tasks.delete(id);
  }

  work(handlers: ReadonlyMap<string, TaskHandler>, options: WorkOptions = {}): TaskWorker {
    if (this.#closing !== undefined) throw closed();
    const concurrency = concurrencyOf(options, this.#settings);
    const working: Working = { handlers, concurrency, running: new Map(), open: true };
    this.#workers.add(working);
    this.#hand();
    return {
      ready: Promise.resolve(),
      close: (closing) => this.#stop(working, drainOf(closing, this.#settings)),
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** What is under way may add tasks until it has ended. */
  async #close(): Promise<void> {
    await Promise.all([...this.#workers].map((working) => this.#stop(working, this.#settings.drainMs)));
    this.#closed = true;
    this.#gate?.close();
    for (const { timer } of this.#schedules.values()) timer?.cancel();
    for (const { timer } of this.#tasks.values()) timer?.cancel();
  }

  #keep(name: string, stored: unknown, plan: ResolvedTask): AddedTask {
    const id = plan.id ?? randomUUID();
    if (!this.#tasks.has(id)) {
      const kept: Kept = {
        id,
        name,
        stored,
        plan,
        addedAt: this.#clock.wallNow(),
        state: 'waiting',
        attempts: 0,
        progress: undefined,
        result: undefined,
        failure: undefined,
        timer: undefined,
      };
      this.#tasks.set(id, kept);
      this.#later(kept, plan.delayMs);
    }
    return { id, name };
  }

  #later(kept: Kept, delayMs: number): void {
    if (delayMs === 0) {
      this.#enqueue(kept);
      return;
    }
    kept.state = 'delayed';
    kept.timer = this.#clock.after(delayMs, () => this.#enqueue(kept));
  }

  #enqueue(kept: Kept): void {
    kept.state = 'waiting';
    kept.timer = undefined;
    this.#waiting.push(kept);
    this.#hand();
  }

  #hand(): void {
    if (this.#gate === undefined) this.#giveOut();
    else if (this.#waiting.length > 0) this.#gate.whenOpen(() => this.#giveOut());
  }

  /** What waits, to whoever has time. */
  #giveOut(): void {
    for (const working of this.#workers) {
      while (working.open && working.running.size < working.concurrency) {
        const kept = this.#waiting.shift();
        if (kept === undefined) return;
        kept.state = 'active';
        const controller = new AbortController();
        const run = this.#run(kept, working, controller.signal).finally(() => {
          working.running.delete(run);
          this.#hand();
        });
        working.running.set(run, controller);
      }
    }
  }

  async #run(kept: Kept, { handlers }: Working, signal: AbortSignal): Promise<void> {
    const startedAt = this.#clock.now();
    const done = await perform(handlers, {
      id: kept.id,
      name: kept.name,
      payload: this.#payload,
      stored: kept.stored,
      attempt: kept.attempts + 1,
      signal,
      tell: (stored) => {
        kept.progress = stored;
        return Promise.resolve();
      },
    });
    kept.attempts += 1;
    publishTask(this.#telemetry, done, { name: kept.name, durationMs: this.#clock.now() - startedAt });
    this.#settle(kept, done);
  }

  #settle(kept: Kept, done: Performed): void {
    if (done.ok) {
      kept.result = done.stored;
      this.#finish(kept, 'completed', this.#settings.keepCompleted);
      return;
    }
    kept.failure = done.error.message;
    if (done.permanent || kept.attempts >= kept.plan.attempts) {
      this.#finish(kept, 'failed', this.#settings.keepFailed);
    } else {
      this.#later(kept, pauseAfter(kept.attempts, kept.plan.backoff));
    }
  }

  /** The oldest of those that are done make room. */
  #finish(kept: Kept, state: 'completed' | 'failed', keep: number): void {
    kept.state = state;
    // Anew at the end, so that the order is that in which they ended.
    this.#tasks.delete(kept.id);
    this.#tasks.set(kept.id, kept);
    const ended = [...this.#tasks.values()].filter((each) => each.state === state);
    for (const { id } of ended.slice(0, Math.max(0, ended.length - keep))) this.#tasks.delete(id);
  }

  async #stop(working: Working, drainMs: number): Promise<void> {
    working.open = false;
    const patience = this.#clock.after(
      drainMs,
      () => {
        for (const controller of working.running.values()) controller.abort(closed());
      },
      { keepAlive: true },
    );
    // A handler that ignores its signal would hold the shutdown up for ever.
    await withDeadline(Promise.all(working.running.keys()), {
      timeoutMs: drainMs + FAREWELL_MS,
      what: 'the end of a worker',
      clock: this.#clock,
    }).catch(() => undefined);
    patience.cancel();
    this.#workers.delete(working);
  }

  #plan(planned: Planned): void {
    planned.timer = this.#clock.after(Math.max(1, planned.due - this.#clock.wallNow()), () => {
      this.#keep(planned.name, planned.stored, planned.plan);
      // The timer may be early by the wall clock, and what was due just now is not due again.
      planned.due = planned.next(Math.max(this.#clock.wallNow(), planned.due));
      this.#plan(planned);
    });
  }

  async #infoOf(kept: Kept): Promise<TaskInfo> {
    // What is read takes a while, and the task goes on meanwhile.
    const { id, name, state, attempts, failure, addedAt } = kept;
    const [data, progress, result] = await Promise.all([
      this.#payload.look(name, kept.stored),
      this.#payload.decodeOutcome('progress', name, kept.progress),
      this.#payload.decodeOutcome('result', name, kept.result),
    ]);
    return { id, name, data, state, attempts, progress, result, failure, addedAt };
  }
}

function closed(): TaskQueueClosedError {
  return new TaskQueueClosedError('the task queue was closed', { hint: 'it is not opened again' });
}
