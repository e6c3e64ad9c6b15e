/** Processes that a test of shards gives orders to. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ShardedOrder, ShardedWord } from './sharded-orders.js';

const CHILD = fileURLToPath(new URL('sharded-child.mjs', import.meta.url));

export class Member {
  readonly process: ChildProcess = fork(CHILD, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  readonly #words: ShardedWord[] = [];
  #wake: () => void = () => undefined;

  constructor() {
    this.process.on('message', (word) => {
      this.#words.push(word as ShardedWord);
      this.#wake();
    });
    this.process.on('exit', () => this.#wake());
  }

  tell(order: ShardedOrder): void {
    this.process.send(order);
  }

  async hear<Kind extends ShardedWord['kind']>(kind: Kind): Promise<Extract<ShardedWord, { kind: Kind }>> {
    for (;;) {
      const at = this.#words.findIndex((word) => word.kind === kind);
      const [word] = at === -1 ? [] : this.#words.splice(at, 1);
      if (word !== undefined) return word as Extract<ShardedWord, { kind: Kind }>;
      if (this.process.exitCode !== null) throw new Error(`the process ended before it was ${kind}`);
      await new Promise<void>((resolve) => {
        const before = this.#wake;
        this.#wake = () => {
          before();
          resolve();
        };
      });
    }
  }

  /** As a crash does: nothing is finished, nobody is told. */
  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }
}
