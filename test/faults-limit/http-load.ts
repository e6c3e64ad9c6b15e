/** Connections that ask a route over and over, and what became of each request. */
import { Agent, request } from 'node:http';

export interface Asked {
  readonly path: string;
  /** Which of the connections. */
  readonly connection: number;
  readonly at: number;
  readonly tookMs: number;
  /** 0 for a request that got no answer. */
  readonly status: number;
  readonly type: string;
  readonly retryAfter: string | undefined;
}

/** Between two requests of a connection: enough of them at once, and a machine that is left room to answer. */
const PAUSE_MS = 6;

export class HttpLoad {
  readonly asked: Asked[] = [];
  #running = true;
  readonly #connections: Promise<void>[];

  /** One connection for each of the addresses. */
  constructor(urls: readonly string[]) {
    this.#connections = urls.map((url, connection) => this.#askOn(new URL(url), connection));
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#connections);
  }

  async #askOn(url: URL, connection: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (this.#running) {
      const at = performance.now();
      const answer = await answerOf(url, agent);
      this.asked.push({ path: url.pathname, connection, at, tookMs: performance.now() - at, ...answer });
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    agent.destroy();
  }
}

type Answer = Pick<Asked, 'status' | 'type' | 'retryAfter'>;

function answerOf(url: URL, agent: Agent): Promise<Answer> {
  return new Promise((resolve) => {
    const none = (): void => resolve({ status: 0, type: '', retryAfter: undefined });
    const asking = request(url, { agent }, (response) => {
      const { statusCode = 0, headers } = response;
      response.resume();
      response.on('end', () => {
        resolve({
          status: statusCode,
          type: headers['content-type'] ?? '',
          retryAfter: headers['retry-after'],
        });
      });
      response.on('error', none);
    });
    asking.on('error', none);
    asking.end();
  });
}

/** Of some requests: how long they took. */
export function latencyOf(asked: readonly Asked[]): { count: number; p50: number; p99: number; max: number } {
  const took = asked.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  const at = (share: number): number =>
    took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? Number.NaN;
  return { count: took.length, p50: at(0.5), p99: at(0.99), max: took.at(-1) ?? Number.NaN };
}
