/** One attempt at a task, the same for every queue. */
import { isRedisModuleError, safeMessage, spans, type TelemetryChannel } from '../core/index.js';
import type { RunningTask, TaskHandler } from './task-queue.js';
import { UnknownTaskError } from './tasks.errors.js';

export interface Attempt extends Omit<RunningTask, 'data'> {
  readonly data: () => Promise<unknown>;
  /** `traceparent` of who added it. */
  readonly sender: string | undefined;
}

export type Performed =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: Error; readonly permanent: boolean };

/** Trying again does not help these. */
const PERMANENT = new Set(['TASK_PERMANENT', 'UNKNOWN_TASK', 'INVALID_TASK']);

/** An attempt is a part of what added the task, wherever that was; and of nothing that happens to be around here. */
export function perform(handlers: ReadonlyMap<string, TaskHandler>, task: Attempt): Promise<Performed> {
  if (!spans.active) return attempted(handlers, task);
  const { name, attempt, sender } = task;
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

async function attempted(
  handlers: ReadonlyMap<string, TaskHandler>,
  { id, name, data, attempt, signal, progress }: Attempt,
): Promise<Performed> {
  try {
    const handler = handlers.get(name);
    if (handler === undefined) throw unknown(name);
    return { ok: true, result: await handler({ id, name, data: await data(), attempt, signal, progress }) };
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(`a thrown ${typeof thrown}`);
    const permanent = isRedisModuleError(error) && PERMANENT.has(error.code);
    return { ok: false, error, permanent };
  }
}

export function publishTask(
  telemetry: TelemetryChannel,
  done: Performed,
  { name, durationMs }: { readonly name: string; readonly durationMs: number },
): void {
  if (!telemetry.active) return;
  const attributes = done.ok ? {} : { failure: safeMessage(done.error.message) };
  telemetry.publish({
    name: 'tasks.done',
    subject: name,
    durationMs,
    outcome: done.ok ? 'ok' : 'error',
    attributes,
  });
}

function unknown(name: string): UnknownTaskError {
  return new UnknownTaskError(`nobody here does tasks named '${name.slice(0, 50)}'`, {
    hint: 'add a handler: @Task(name), or tasks.work(new Map([[name, handler]]))',
  });
}
