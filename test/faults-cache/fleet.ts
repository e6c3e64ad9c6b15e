/** Several processes on one Redis. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { OpenOrder, Order, Seen, Word } from './orders.js';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));
/** Nothing that is waited for here takes as long; who is silent for that long hangs. */
const PATIENCE_MS = 150_000;

export class Member {
  readonly process: ChildProcess;
  /** Told of what a hunt sees, at once: it would be too much to keep. */
  onSeen: ((seen: Seen) => void) | undefined;
  readonly #words: Word[] = [];
  readonly #listeners = new Set<() => void>();

  constructor() {
    // Typed arrays cross the border as bytes.
    this.process = fork(CHILD, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' });
    this.process.on('message', (message) => {
      const word = message as Word;
      if (word.kind === 'seen') this.onSeen?.(word);
      else this.#words.push(word);
      this.#wake();
    });
    this.process.on('exit', () => this.#wake());
  }

  tell(order: Order): void {
    this.process.send(order);
  }

  /** The next word of that kind. */
  async hear<Kind extends Word['kind']>(kind: Kind): Promise<Extract<Word, { kind: Kind }>> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const word = this.take(kind);
      if (word !== undefined) return word;
      if (this.#ended) throw new Error(`the process ended before it was ${kind}`);
      if (performance.now() > until) throw new Error(`the process hangs: it never was ${kind}`);
      await this.#nextWord(until - performance.now());
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
    if (this.#ended) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }

  get #ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  #wake(): void {
    for (const listener of this.#listeners) listener();
  }

  #nextWord(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const listener = (): void => {
        clearTimeout(timer);
        this.#listeners.delete(listener);
        resolve();
      };
      const timer = setTimeout(listener, Math.max(1, withinMs));
      this.#listeners.add(listener);
    });
  }
}

export async function startFleet(size: number): Promise<readonly Member[]> {
  const fleet = Array.from({ length: size }, () => new Member());
  await Promise.all(fleet.map((member) => member.hear('ready')));
  return fleet;
}

/** Each with connections of its own; settles when all are connected. */
export async function openFleet(fleet: readonly Member[], order: Omit<OpenOrder, 'kind'>): Promise<void> {
  for (const member of fleet) member.tell({ kind: 'open', ...order });
  await Promise.all(fleet.map((member) => member.hear('ready')));
}

export async function stopFleet(fleet: readonly Member[]): Promise<void> {
  await Promise.all(fleet.map((member) => member.stop()));
}
