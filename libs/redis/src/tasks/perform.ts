/** One attempt at a task, the same for every queue. */
import { isRedisModuleError, safeMessage, spans, type TelemetryChannel } from '../core/index.js';
import type { TaskPayload } from './task-payload.js';
import type { RunningTask, TaskHandler } from './task-queue.js';
import { UnknownTaskError } from './tasks.errors.js';

export interface Attempt extends Omit<RunningTask, 'data' | 'progress'> {
  readonly payload: TaskPayload;
  /** What it carries, as it stands in the queue. */
  readonly stored: unknown;
  /** Keeps what the handler tells, as the payload gave it. */
  readonly tell: (stored: unknown) => Promise<void>;
}

export type Performed =
  /** Of a result that can not be stored nothing is kept. */
  { readonly ok: true; readonly stored: unknown; readonly isLost: boolean } | Failed;

export interface Failed {
  readonly ok: false;
  readonly error: Error;
  readonly permanent: boolean;
}

/** Trying again does not help these. */
const PERMANENT = new Set(['TASK_PERMANENT', 'UNKNOWN_TASK', 'INVALID_TASK']);

/** An attempt is a part of what added the task, wherever that was; and of nothing that happens to be around here. */
export function perform(handlers: ReadonlyMap<string, TaskHandler>, task: Attempt): Promise<Performed> {
  if (!spans.active) return attempted(handlers, task);
  const { name, attempt } = task;
  const sender = task.payload.senderOf(task.stored);
  // What nobody here does may have any name.
  const subject = handlers.has(name) ? name : 'unknown';
  const plan = { name: 'tasks.perform', subject, kind: 'consumer', sender, apart: true } as const;
  return spans.around({ ...plan, attributes: { 'task.attempt': attempt } }, async (span) => {
    const done = await attempted(handlers, task);
    if (!done.ok) span.fail(isRedisModuleError(done.error) ? done.error.code : done.error.name);
    return done;
  });
}

/** Adding a task, with `traceparent` for what is added. */
export function adding<T>(name: string, add: (traceparent: string | undefined) => Promise<T>): Promise<T> {
  if (!spans.active) return add(undefined);
  return spans.around({ name: 'tasks.add', subject: name, kind: 'producer' }, () => add(spans.carry()));
}

async function attempted(handlers: ReadonlyMap<string, TaskHandler>, task: Attempt): Promise<Performed> {
  const { id, name, attempt, signal, payload } = task;
  try {
    const handler = handlers.get(name);
    if (handler === undefined) throw unknown(name);
    const data = await payload.decode(name, task.stored);
    const progress = (value: unknown): Promise<void> => tell(task, value);
    const result = await handler({ id, name, data, attempt, signal, progress });
    const kept = await payload.encodeOutcome('result', name, result);
    return { ok: true, stored: kept?.stored ?? null, isLost: kept === undefined };
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(`a thrown ${typeof thrown}`);
    const permanent = isRedisModuleError(error) && PERMANENT.has(error.code);
    return { ok: false, error, permanent };
  }
}

/** How far a task is, is worth less than the task: what can not be stored or told is left out. */
async function tell({ name, payload, tell: keep }: Attempt, value: unknown): Promise<void> {
  const kept = await payload.encodeOutcome('progress', name, value);
  if (kept !== undefined) await keep(kept.stored).catch(() => undefined);
}

export function publishTask(
  telemetry: TelemetryChannel,
  done: Performed,
  { name, durationMs }: { readonly name: string; readonly durationMs: number },
): void {
  if (!telemetry.active) return;
  const attributes = done.ok ? resultOf(done) : { failure: safeMessage(done.error.message) };
  telemetry.publish({
    name: 'tasks.done',
    subject: name,
    durationMs,
    outcome: done.ok ? 'ok' : 'error',
    attributes,
  });
}

function resultOf({ isLost }: { readonly isLost: boolean }): Readonly<Record<string, string>> {
  return isLost ? { result: 'it can not be stored' } : {};
}

function unknown(name: string): UnknownTaskError {
  return new UnknownTaskError(`nobody here does tasks named '${name.slice(0, 50)}'`, {
    hint: 'add a handler: @Task(name), or tasks.work(new Map([[name, handler]]))',
  });
}
