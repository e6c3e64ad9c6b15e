/**
 * Keeps open pages up to date by server-sent events: one text per step, made once for all of them. A page that was
 * away says what it has seen last and gets what it missed.
 */
import type { ServerResponse } from 'node:http';
import { systemClock, type Clock, type Timer } from '../core/index.js';
import { SECURITY_HEADERS, sendRefusal, type Exchange } from './exchange.js';

const HEARTBEAT_MS = 15_000;
const RETRY_MS = 3_000;
/** A page that does not read is let go: it comes back and asks for what it missed. */
const MOST_UNREAD = 1_048_576;

export interface LiveStreamParts {
  readonly most: number;
  readonly clock?: Clock | undefined;
}

export interface LiveEvent {
  readonly id: string;
  readonly name: string;
  readonly data: unknown;
}

export class LiveStream {
  readonly #most: number;
  readonly #clock: Clock;
  readonly #open = new Set<ServerResponse>();
  #heartbeat: Timer | undefined;
  #closed = false;

  constructor({ most, clock = systemClock }: LiveStreamParts) {
    this.#most = most;
    this.#clock = clock;
  }

  get size(): number {
    return this.#open.size;
  }

  /** `first` is what this page has missed. */
  add(exchange: Exchange, first: LiveEvent): void {
    const { response } = exchange;
    // Whoever left while a guard was still asked has been closed already, and nobody would ever say so again.
    if (response.destroyed) return;
    if (this.#closed || this.#open.size >= this.#most) {
      sendRefusal(exchange, {
        status: 503,
        code: 'TOO_MANY_STREAMS',
        message: `${this.#most} pages are kept up to date by this process already`,
        hint: 'GET snapshot with If-None-Match, every 5 s',
        headers: { 'retry-after': '5' },
      });
      return;
    }
    response.writeHead(200, {
      ...SECURITY_HEADERS,
      'content-type': 'text/event-stream; charset=utf-8',
      // `no-transform` keeps compression from holding events back, the other header does so with nginx.
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      // A connection that is kept alive would keep the server from closing; HTTP/2 has no such header.
      ...(exchange.request.httpVersionMajor > 1 ? {} : { connection: 'close' }),
    });
    response.write(`retry: ${RETRY_MS}\n${textOf(first)}`);
    this.#open.add(response);
    const forget = (): void => this.#forget(response);
    response.once('close', forget);
    response.once('error', forget);
    this.#beat();
  }

  send(event: LiveEvent): void {
    if (this.#open.size > 0) this.#write(textOf(event));
  }

  /** Ends all: an open response would hold up the end of the server. */
  close(): void {
    this.#closed = true;
    this.#heartbeat?.cancel();
    for (const response of this.#open) response.end();
    this.#open.clear();
  }

  #write(text: string): void {
    for (const response of this.#open) {
      if (response.writableLength > MOST_UNREAD) {
        this.#forget(response);
        response.destroy();
      } else response.write(text);
    }
  }

  #forget(response: ServerResponse): void {
    this.#open.delete(response);
    if (this.#open.size > 0) return;
    this.#heartbeat?.cancel();
    this.#heartbeat = undefined;
  }

  /** Only while somebody is there. */
  #beat(): void {
    if (this.#heartbeat !== undefined || this.#closed) return;
    this.#heartbeat = this.#clock.after(HEARTBEAT_MS, () => {
      this.#heartbeat = undefined;
      this.#write(': still here\n\n');
      if (this.#open.size > 0) this.#beat();
    });
  }
}

/** JSON has no line breaks of its own, so the data is one line. */
function textOf({ id, name, data }: LiveEvent): string {
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
