/** Processes that serve the same application, and clients that ask them. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { until } from '../topology/index.js';
import type { HandlerPlan, Order, ServeOrder, Word } from './orders.js';

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));
/** Nothing that is waited for here takes as long; who is silent for that long hangs. */
const PATIENCE_MS = 60_000;
/** As behind a balancer: the host stands in the key of an answer, and all processes serve the same one. */
const HEADERS = { host: 'shop.example' };

export interface Answer {
  /** 0 when the connection failed. */
  readonly status: number;
  readonly text: string;
  readonly cache: string | undefined;
  readonly tookMs: number;
}

export class Server {
  url = '';
  readonly #process: ChildProcess;
  readonly #words: Word[] = [];
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: Infinity });

  constructor() {
    this.#process = fork(CHILD, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#process.on('message', (word) => this.#words.push(word as Word));
  }

  async serve(order: Omit<ServeOrder, 'kind'>): Promise<void> {
    await this.hear('ready');
    this.#tell({ kind: 'serve', ...order });
    this.url = (await this.hear('serving')).url;
  }

  /** From now on, with counts from 0. */
  async handler(plan: HandlerPlan): Promise<void> {
    this.#tell({ kind: 'handler', plan });
    await this.hear('told');
    this.forget();
  }

  release(): void {
    this.#tell({ kind: 'release' });
  }

  async counts(): Promise<{ runs: number; joined: number }> {
    this.#tell({ kind: 'count' });
    return this.hear('counted');
  }

  forget(): void {
    this.#words.length = 0;
  }

  hasSaid(kind: Word['kind']): boolean {
    return this.#words.some((word) => word.kind === kind);
  }

  async hear<Kind extends Word['kind']>(kind: Kind): Promise<Extract<Word, { kind: Kind }>> {
    return until(
      () => {
        const at = this.#words.findIndex((word) => word.kind === kind);
        if (at === -1) return undefined;
        return this.#words.splice(at, 1)[0] as Extract<Word, { kind: Kind }>;
      },
      { what: `a process to be ${kind}`, timeout: PATIENCE_MS, every: 2 },
    );
  }

  /** Never rejects. */
  ask(path: string): Promise<Answer> {
    const startedAt = performance.now();
    return new Promise((resolve) => {
      const end = (answer: Omit<Answer, 'tookMs'>): void =>
        resolve({ ...answer, tookMs: performance.now() - startedAt });
      const failed = (error: Error): void => end({ status: 0, text: error.message, cache: undefined });
      const sent = request(this.url + path, { agent: this.#agent, headers: HEADERS }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('error', failed);
        response.on('end', () => {
          const cache = response.headers['x-cache'];
          end({
            status: response.statusCode ?? 0,
            text,
            cache: cache === undefined ? undefined : String(cache),
          });
        });
      });
      sent.on('error', failed).end();
    });
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
    this.#agent.destroy();
  }

  #tell(order: Order): void {
    this.#process.send(order);
  }
}

export async function startServers(
  count: number,
  order: Omit<ServeOrder, 'kind'>,
): Promise<readonly Server[]> {
  const servers = Array.from({ length: count }, () => new Server());
  await Promise.all(servers.map((server) => server.serve(order)));
  return servers;
}
