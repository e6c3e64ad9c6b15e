/** The task queue over the default connection: the same for Nest and without it. */
import { createCodec, resolveCodec } from './codec/index.js';
import type { RedisConfig } from './config/index.js';
import { createTaskQueue, type TaskQueue } from './tasks/index.js';

/** BullMQ takes several steps for one call. */
const STEPS = 4;

export function wireTasks({ defaultConnection, namespace, codec, tasks }: RedisConfig): TaskQueue {
  const sealed = resolveCodec(codec).encryption !== false;
  return createTaskQueue({
    connection: defaultConnection,
    namespace,
    settings: tasks,
    codec: sealed ? createCodec(codec) : undefined,
    timeoutMs: defaultConnection.timeoutMs * STEPS,
  });
}
