/** A real process that cleans up, to be left alone or killed. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RunOrder, Word } from './orders.js';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));

export class CleaningProcess {
  readonly #process: ChildProcess;
  readonly ready: Promise<Word>;

  constructor() {
    this.#process = fork(CHILD, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.ready = this.hear('ready');
  }

  start(order: RunOrder): void {
    this.#process.send(order);
  }

  /** The next word of that kind. */
  hear<Kind extends Word['kind']>(kind: Kind): Promise<Extract<Word, { kind: Kind }>> {
    return new Promise((resolve, reject) => {
      const onWord = (said: unknown): void => {
        const word = said as Word;
        if (word.kind !== kind) return;
        this.#process.off('message', onWord);
        resolve(word as Extract<Word, { kind: Kind }>);
      };
      this.#process.on('message', onWord);
      this.#process.once('exit', () => reject(new Error(`the process ended before it was ${kind}`)));
    });
  }

  /** `kill -9`: it can do nothing about it. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}
