/** Real processes that hold locks, and get stopped. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { HoldPlan, HoldReport, Word } from './orders.js';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));

export class HolderProcess {
  readonly #process: ChildProcess;
  readonly ready: Promise<void>;

  constructor() {
    this.#process = fork(CHILD, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.ready = this.#hear('ready').then(() => undefined);
  }

  async hold(plan: HoldPlan): Promise<HoldReport> {
    const done = this.#hear('done');
    this.#process.send(plan);
    const word = await done;
    if (word.kind !== 'done') throw new Error('it said something else');
    return word.report;
  }

  onHolding(listener: () => void): void {
    this.#process.on('message', (word) => {
      if ((word as Word).kind === 'holding') listener();
    });
  }

  /** SIGSTOP: it neither runs nor knows that it does not. */
  stop(): void {
    this.#process.kill('SIGSTOP');
  }

  goOn(): void {
    this.#process.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }

  #hear(kind: Word['kind']): Promise<Word> {
    return new Promise((resolve, reject) => {
      const onWord = (word: unknown): void => {
        if ((word as Word).kind !== kind) return;
        this.#process.off('message', onWord);
        resolve(word as Word);
      };
      this.#process.on('message', onWord);
      this.#process.once('exit', () => reject(new Error(`the process ended before it was ${kind}`)));
    });
  }
}
