/** The queue for a connection: BullMQ on Redis, and one of its own kind in this process on the embedded default. */
import type { Codec } from '../codec/index.js';
import {
  escapeSegment,
  taskConnections,
  type RedisClient,
  type ResolvedConnection,
} from '../connection/index.js';
import { optionalPeer, type Clock } from '../core/index.js';
import { BullmqQueue } from './bullmq-queue.js';
import { EmbeddedQueue } from './embedded-queue.js';
import { TaskGate } from './task-gate.js';
import { TaskPayload } from './task-payload.js';
import type { TaskQueue } from './task-queue.js';
import type { ResolvedTasks } from './tasks.options.js';

export interface CreateTaskQueue {
  readonly connection: ResolvedConnection;
  readonly namespace: string;
  readonly settings: ResolvedTasks;
  /** Seals what tasks carry; undefined keeps it as readable JSON. */
  readonly codec?: Codec | undefined;
  /** Within this time a call to the queue settles. @default 1 s: BullMQ takes several steps for one */
  readonly timeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
  /** What the embedded queue asks before it does anything: in tests it may fail. @default it asks nobody */
  readonly gate?: RedisClient | undefined;
}

/** A queue has to lie in one slot, which the hash tag sees to; other layouts are other numbers. */
const WIRE_VERSION = 'v1';
const DEFAULT_TIMEOUT_MS = 1_000;

export function createTaskQueue(parts: CreateTaskQueue): TaskQueue {
  const { connection, namespace, settings, codec, clock, gate, timeoutMs = DEFAULT_TIMEOUT_MS } = parts;
  const payload = new TaskPayload({ codec, namespace, queue: settings.queue });
  if (connection.topology === 'embedded') {
    const taskGate = gate && new TaskGate({ client: gate, timeoutMs, clock });
    return new EmbeddedQueue({ settings, payload, clock, gate: taskGate });
  }
  const root = namespace.split(':').map(escapeSegment).join(':');
  return new BullmqQueue({
    load: () => optionalPeer('bullmq', 'a task queue on Redis', () => import('bullmq')),
    connections: taskConnections(connection),
    settings,
    payload,
    prefix: `${root}:${WIRE_VERSION}:tasks:{q}`,
    timeoutMs,
    clock,
  });
}
