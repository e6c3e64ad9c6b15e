/** Several processes on one Redis. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Order, Word } from './orders.js';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));

export class Member {
  readonly process: ChildProcess;
  readonly #words: Word[] = [];
  readonly #listeners = new Set<() => void>();

  constructor() {
    this.process = fork(CHILD, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.process.on('message', (word) => {
      this.#words.push(word as Word);
      for (const listener of this.#listeners) listener();
    });
    this.process.on('exit', () => {
      for (const listener of this.#listeners) listener();
    });
  }

  tell(order: Order): void {
    this.process.send(order);
  }

  /** The next word of that kind. */
  async hear<Kind extends Word['kind']>(kind: Kind): Promise<Extract<Word, { kind: Kind }>> {
    for (;;) {
      const word = this.take(kind);
      if (word !== undefined) return word;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`the process ended before it was ${kind}`);
      }
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
  }

  /** What has been said and not been heard. */
  take<Kind extends Word['kind']>(kind: Kind): Extract<Word, { kind: Kind }> | undefined {
    const at = this.#words.findIndex((word) => word.kind === kind);
    const [word] = at === -1 ? [] : this.#words.splice(at, 1);
    return word as Extract<Word, { kind: Kind }> | undefined;
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }
}

export async function startFleet(size: number): Promise<readonly Member[]> {
  const fleet = Array.from({ length: size }, () => new Member());
  await Promise.all(fleet.map((member) => member.hear('ready')));
  return fleet;
}

/** Each with connections of its own; settles when all are connected. */
export async function openFleet(
  fleet: readonly Member[],
  order: Omit<Extract<Order, { kind: 'open' }>, 'kind'>,
): Promise<void> {
  for (const member of fleet) member.tell({ kind: 'open', ...order });
  await Promise.all(fleet.map((member) => member.hear('ready')));
}

export async function stopFleet(fleet: readonly Member[]): Promise<void> {
  await Promise.all(fleet.map((member) => member.stop()));
}
