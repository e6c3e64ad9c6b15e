/** What BullMQ writes into Redis of a failure: its message, and its stack, which quotes the message. */
import type { Failed } from './perform.js';
import type { TaskPayload } from './task-payload.js';

export interface KeptFailure {
  readonly name: string;
  readonly payload: TaskPayload;
  /** BullMQ's own, which spares the attempts that are left. */
  readonly Unrecoverable: new (message: string) => Error;
}

export async function keptFailure(
  { error, permanent }: Failed,
  { name, payload, Unrecoverable }: KeptFailure,
): Promise<Error> {
  if (!permanent && !payload.isSealed) return error;
  const message = await payload.encodeFailure(name, error.message);
  const kept = permanent ? new Unrecoverable(message) : new Error(message);
  // BullMQ knows its own errors, which handlers may throw too, by their names.
  if (!permanent) kept.name = error.name;
  kept.stack = payload.isSealed ? '' : (error.stack ?? '');
  return kept;
}
