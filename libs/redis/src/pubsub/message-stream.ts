/** The messages of one listener as an async iterator: it begins with the first `next()` and ends with `return()`. */
import { RedisReplyError } from '../connection/index.js';
import { isRedisModuleError } from '../core/index.js';
import type { Envelopes, Message, RawMessage } from './message.js';
import type { Source } from './source.js';

export interface MessageStreamParts {
  readonly source: Source;
  readonly envelopes: Envelopes;
  /** Who this service is, among the publishers. */
  readonly origin: string;
  readonly ignoreOwn: boolean;
  readonly signal: AbortSignal | undefined;
  /** Acknowledges a message when the next one is asked for. */
  readonly autoAck: boolean;
  nameOf(raw: RawMessage): string;
  onUnreadable(): void;
  onEnd(stream: object): void;
}

export class MessageStream<T = unknown> implements AsyncIterableIterator<Message<T>> {
  readonly #parts: MessageStreamParts;
  #started: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #previous: RawMessage | undefined;
  /** One `next()` after the other, however they are called. */
  #turn: Promise<unknown> = Promise.resolve();
  #unreadable = 0;
  #stopped = false;
  readonly #onAbort = (): void => void this.#end();

  constructor(parts: MessageStreamParts) {
    this.#parts = parts;
    const { signal } = parts;
    if (signal?.aborted === true) void this.#end();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Messages that were dropped because this listener was too slow. */
  get dropped(): number {
    return this.#parts.source.dropped;
  }

  /** Messages that were left out because they could not be read. */
  get unreadable(): number {
    return this.#unreadable;
  }

  /** Nothing comes any more. */
  get ended(): boolean {
    return this.#ending !== undefined;
  }

  /**
   * Begins to listen without waiting for a message: what is sent after it has settled is heard. It rejects when
   * Redis does not answer; the listening begins all the same, as soon as it does.
   */
  start(): Promise<void> {
    if (this.#ending !== undefined) return Promise.resolve();
    this.#started ??= this.#parts.source.start();
    return this.#started;
  }

  next(): Promise<IteratorResult<Message<T>, undefined>> {
    const turn = this.#turn.then(() => this.#next());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Takes no more messages; those taken may still be acknowledged, until `return()`. */
  stop(): void {
    this.#stopped = true;
    this.#parts.source.stop();
  }

  /** Ends the listening. A message of a group that was not acknowledged is handed to somebody else. */
  async return(): Promise<IteratorResult<Message<T>, undefined>> {
    await this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #next(): Promise<IteratorResult<Message<T>, undefined>> {
    const { source, autoAck } = this.#parts;
    try {
      // Not waited for: should it be lost, the message comes again, and that has to be borne anyway.
      if (autoAck && this.#previous !== undefined) source.ack(this.#previous).catch(() => undefined);
      this.#previous = undefined;
      if (this.#ending === undefined) await this.start().catch(unlessAway);
      const message = await this.#take();
      if (message !== undefined) return { done: false, value: message };
    } catch (error) {
      await this.#end();
      throw error;
    }
    if (!this.#stopped) await this.#end();
    return { done: true, value: undefined };
  }

  async #take(): Promise<Message<T> | undefined> {
    const { source, envelopes, origin, ignoreOwn } = this.#parts;
    for (;;) {
      const raw = await source.take();
      if (raw === undefined) return undefined;
      const opened = await envelopes.open(raw.channel, raw.payload);
      if (opened === undefined) {
        this.#unreadable += 1;
        this.#parts.onUnreadable();
        await source.discard(raw);
        continue;
      }
      if (ignoreOwn && opened.origin === origin) {
        await source.ack(raw);
        continue;
      }
      this.#previous = raw;
      return {
        channel: this.#parts.nameOf(raw),
        // Boundary: what was published under this name is what the map of events says.
        data: opened.data as T,
        at: opened.at,
        origin: opened.origin,
        own: opened.origin === origin,
        id: raw.id,
        deliveries: raw.deliveries,
        ...(opened.traceparent === undefined ? {} : { traceparent: opened.traceparent }),
        ack: () => this.#ack(raw),
        release: () => this.#release(raw),
      };
    }
  }

  async #ack(raw: RawMessage): Promise<void> {
    if (this.#previous === raw) this.#previous = undefined;
    await this.#parts.source.ack(raw);
  }

  #release(raw: RawMessage): void {
    if (this.#previous === raw) this.#previous = undefined;
    this.#parts.source.release(raw);
  }

  #end(): Promise<void> {
    if (this.#ending === undefined) {
      // The signal may be that of the application, and live as long.
      this.#parts.signal?.removeEventListener('abort', this.#onAbort);
      this.#parts.source.stop();
      this.#parts.onEnd(this);
      this.#ending = this.#parts.source.close();
    }
    return this.#ending;
  }
}

/** A call that did not get through, and may with the next try; making a group is done once however often it is asked. */
const AWAY = new Set(['NOT_CONNECTED', 'COMMAND_TIMEOUT', 'OUTCOME_UNKNOWN', 'CIRCUIT_OPEN', 'BACKPRESSURE']);
/** What a server says that is about to serve, or to be replaced. */
const PASSING = new Set(['LOADING', 'CLUSTERDOWN', 'MASTERDOWN', 'READONLY']);

/** Redis is away: the subscription stands as soon as it is back, and until then there is nothing to hear. */
function unlessAway(error: unknown): void {
  if (isRedisModuleError(error) && AWAY.has(error.code)) return;
  if (error instanceof RedisReplyError && PASSING.has(error.kind)) return;
  throw error;
}
