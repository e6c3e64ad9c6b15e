/**
 * Stands before the embedded queue where that is to fail as one on Redis does. The queue itself needs no connection, so
 * only tests put a gate there.
 */
import type { RedisClient } from '../connection/index.js';
import { systemClock, type Clock, type Timer } from '../core/index.js';
import { TaskNotAddedError } from './tasks.errors.js';

interface TaskGateParts {
  /** Asked in place of Redis. */
  readonly client: RedisClient;
  readonly timeoutMs: number;
  readonly clock?: Clock | undefined;
}

const LOOK_AGAIN_MS = 1_000;

export class TaskGate {
  readonly #parts: TaskGateParts;
  readonly #clock: Clock;
  readonly #stopListening: () => void;
  #waiting: (() => void) | undefined;
  #timer: Timer | undefined;

  constructor(parts: TaskGateParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#stopListening = parts.client.on('ready', () => void this.#look());
  }

  /** @throws TaskNotAddedError when Redis would not have answered */
  async pass(): Promise<void> {
    const { client, timeoutMs } = this.#parts;
    try {
      await client.command('PING', [], { timeout: timeoutMs / 1_000 });
    } catch (cause) {
      throw new TaskNotAddedError('the task queue did not answer as asked', {
        hint: 'give the task an id and add it again: one id is one task',
        cause,
      });
    }
  }

  /** For workers, who wait as long as it takes. */
  whenOpen(go: () => void): void {
    this.#waiting = go;
    void this.#look();
  }

  close(): void {
    this.#stopListening();
    this.#waiting = undefined;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    if (this.#waiting === undefined) return;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(LOOK_AGAIN_MS, () => void this.#look());
    // Who asks a client that is away waits for a deadline, and in a test that makes time pass.
    if (this.#parts.client.status().health === 'down') return;
    const isOpen = await this.pass().then(
      () => true,
      () => false,
    );
    const go = this.#waiting;
    if (!isOpen || go === undefined) return;
    this.#timer.cancel();
    this.#waiting = undefined;
    go();
  }
}
