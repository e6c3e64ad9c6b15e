/**
 * Runs handlers over the messages of channels: so many at once, each one's errors its own. A message of a group
 * whose handler failed comes again after a while; in the other modes it is over.
 */
import { parseDuration, sleep, spans, systemClock, type Clock, type Duration } from '../core/index.js';
import type { Message } from './message.js';
import type { MessageStream } from './message-stream.js';
import { InvalidPubSubOptionsError, PubSubClosedError } from './pubsub.errors.js';
import type { ListenOptions } from './pubsub.options.js';
import type { PubSub } from './pub-sub.js';

export interface HandlerOptions extends Omit<ListenOptions, 'signal'> {
  /** Messages handled at the same time; with 1 they are handled in order. @default 1 */
  concurrency?: number | undefined;
}

export interface Handler {
  readonly channel: string;
  readonly options: HandlerOptions;
  /** For the log: `'Orders.onChange'`. */
  readonly name: string;
  handle(message: Message): unknown;
}

export interface MessageHandlersParts {
  readonly pubsub: PubSub;
  readonly clock?: Clock;
  onError(handler: Handler, error: unknown): void;
}

/** A listening that broke off begins again, in case what broke it goes away. */
const AGAIN_MS = 1_000;
const DEFAULT_DRAIN_MS = 10_000;

export class MessageHandlers {
  readonly #parts: MessageHandlersParts;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #streams = new Set<MessageStream>();
  readonly #pumps = new Set<Promise<void>>();
  readonly #running = new Set<Promise<void>>();

  constructor(parts: MessageHandlersParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
  }

  /** How many handlers run at the moment. */
  get running(): number {
    return this.#running.size;
  }

  /** Begins to listen; settles when messages sent from then on are heard, or when Redis does not answer. */
  async add(handler: Handler): Promise<void> {
    const { concurrency = 1 } = handler.options;
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
      throw new InvalidPubSubOptionsError(`${handler.name}: concurrency is not a whole number from 1`);
    }
    const stream = this.#open(handler);
    this.#follow(this.#pumps, this.#pump(handler, stream, concurrency));
    await stream.start().catch(() => undefined);
  }

  /** Takes no more messages, and lets handlers finish for at most `drain`. @default '10s' */
  async close(options: { drain?: Duration } = {}): Promise<void> {
    const drainMs = options.drain === undefined ? DEFAULT_DRAIN_MS : parseDuration(options.drain, 'drain');
    this.#stop.abort(new Error('the handlers are closed'));
    for (const stream of this.#streams) stream.stop();
    // A pump may be waiting for a handler itself, so both are given the same time.
    const finished = Promise.all(this.#pumps).then(() => Promise.all(this.#running));
    const patience = new AbortController();
    const tooLate = sleep(drainMs, { clock: this.#clock, signal: patience.signal }).catch(() => undefined);
    await Promise.race([finished, tooLate]);
    patience.abort();
    await Promise.all([...this.#streams].map((stream) => stream.return()));
  }

  #open(handler: Handler): MessageStream {
    const { concurrency: _, ...options } = handler.options;
    const stream = this.#parts.pubsub.listen<unknown>(handler.channel, options, false);
    this.#streams.add(stream);
    return stream;
  }

  async #pump(handler: Handler, first: MessageStream, concurrency: number): Promise<void> {
    let stream = first;
    for (;;) {
      try {
        await this.#handleAll(handler, stream, concurrency);
        return;
      } catch (error) {
        this.#parts.onError(handler, error);
      }
      this.#streams.delete(stream);
      const { signal } = this.#stop;
      await sleep(AGAIN_MS, { clock: this.#clock, signal, keepAlive: false }).catch(() => undefined);
      if (signal.aborted) return;
      const next = this.#openAgain(handler);
      if (next === undefined) return;
      stream = next;
    }
  }

  /** Nobody waits for a pump, so what is thrown here is told; that pub/sub was closed is no fault. */
  #openAgain(handler: Handler): MessageStream | undefined {
    try {
      return this.#open(handler);
    } catch (error) {
      if (!(error instanceof PubSubClosedError)) this.#parts.onError(handler, error);
      return undefined;
    }
  }

  async #handleAll(handler: Handler, stream: MessageStream, concurrency: number): Promise<void> {
    const working = new Set<Promise<void>>();
    for (;;) {
      if (working.size >= concurrency) await Promise.race(working);
      if (this.#stop.signal.aborted) return;
      const { done, value } = await stream.next();
      if (done === true) return;
      const work = this.#handle(handler, value);
      this.#follow(working, work);
      this.#follow(this.#running, work);
    }
  }

  async #handle(handler: Handler, message: Message): Promise<void> {
    try {
      await (spans.active ? traced(handler, message) : handler.handle(message));
    } catch (error) {
      message.release();
      this.#parts.onError(handler, error);
      return;
    }
    // Not waited for: should it be lost, the message comes again, and that has to be borne anyway.
    message.ack().catch(() => undefined);
  }

  #follow(set: Set<Promise<void>>, work: Promise<void>): void {
    set.add(work);
    void work.then(() => set.delete(work));
  }
}

/** A part of what its publisher did, wherever that was; and of nothing that happens to be around here. */
function traced(handler: Handler, message: Message): Promise<unknown> {
  const { channel, name } = handler;
  const { traceparent: sender, deliveries } = message;
  const attributes = { 'messaging.destination.name': channel, 'messaging.deliveries': deliveries };
  const plan = { name: 'pubsub.handle', subject: name, kind: 'consumer', sender, apart: true } as const;
  return spans.around({ ...plan, attributes }, async () => handler.handle(message));
}
