/**
 * One socket to one server, from opening to its end; never reopened. A driver instance that is thrown away
 * with its socket can not resend, replay or strand anything, which is what ioredis' own reconnect does.
 *
 * Requests of one turn of the event loop leave as one write, and answers are handed out only when their
 * place in the stream is proven (see batch.ts); otherwise the socket is dropped.
 */
import { randomBytes } from 'node:crypto';
import { Redis } from './driver.js';
import { safeMessage, type Clock } from '../core/index.js';
import { Batch, planEntries, type BatchOwner, type Entry, type Proof } from './batch.js';
import type { DriverOptions } from './driver-options.js';
import { connectionClosed, notConnected, replyMismatch, type Failure } from './failure.js';
import type { RawReply } from './reply.js';
import type { Request } from './request.js';
import { ASKING_PLACE, ECHO_PLACE, WireCommand } from './wire-command.js';

export interface WireEvents {
  /** Authenticated and writable. */
  onOpen(): void;
  /** Once, at the end; all requests under way have been failed before. */
  onGone(reason: string): void;
}

export interface WireOptions {
  readonly driver: DriverOptions;
  readonly coalesce: boolean;
  readonly clock: Clock;
  readonly events: WireEvents;
}

/**
 * From so many arguments on a turn leaves in two halves, each proven by an echo of its own: the server works on the
 * second half while the answers of the first are read here. Below that the second echo costs more than it gains.
 */
const WORTH_HALVING = 32;

type DriverStream = NonNullable<Parameters<Redis['sendCommand']>[1]>;

export class Wire implements BatchOwner {
  integrity = true;
  /** Monotonic time at which the last bytes arrived. */
  lastReadAt: number;
  readonly openedAt: number;

  readonly #redis: Redis;
  readonly #coalesce: boolean;
  readonly #clock: Clock;
  readonly #events: WireEvents;
  readonly #sink = new Sink();
  /** Under way, in the order they were written: a chain by `next`. */
  #oldest: Batch | undefined;
  #newest: Batch | undefined;
  #inFlight = 0;
  /** Unguessable, so that no stored value can pass for an echo. */
  readonly #mark = `anbar:${randomBytes(6).toString('base64url')}:`;
  readonly #markBytes = Buffer.from(this.#mark);
  #sequence = 0;
  #open = false;
  #gone = false;
  #lastError: string | undefined;

  constructor(options: WireOptions) {
    this.#coalesce = options.coalesce;
    this.#clock = options.clock;
    this.#events = options.events;
    this.openedAt = options.clock.now();
    this.lastReadAt = this.openedAt;
    this.#redis = new Redis({ ...options.driver, lazyConnect: true });
    this.#redis.on('error', (error: unknown) => this.#onError(error));
    this.#redis.on('ready', () => this.#onReady());
    this.#redis.on('close', () => this.end(this.#lastError ?? 'the connection was closed'));
    this.#redis.on('end', () => this.end(this.#lastError ?? 'the connection was closed'));
    this.#redis.connect().catch((error: unknown) => this.#onError(error));
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get usable(): boolean {
    return this.#open && !this.#gone;
  }

  /** Writes the requests of one turn at once; many of them in two halves. */
  send(requests: readonly Request[]): void {
    if (requests.length < 2 || weightOf(requests) < WORTH_HALVING) {
      this.#write(planEntries(requests, this.#coalesce));
      return;
    }
    const middle = Math.ceil(requests.length / 2);
    this.#write(planEntries(requests.slice(0, middle), this.#coalesce), 'echo');
    this.#write(planEntries(requests.slice(middle), this.#coalesce), 'echo');
  }

  /** Drops the socket at once and fails what is under way. Idempotent. */
  end(reason: string, failure: Failure = connectionClosed(reason)): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#open = false;
    let batch = this.#oldest;
    this.#oldest = undefined;
    this.#newest = undefined;
    this.#inFlight = 0;
    discard(this.#redis);
    for (; batch !== undefined; batch = batch.next) batch.fail(failure);
    this.#events.onGone(reason);
  }

  // -- what becomes of a batch ------------------------------------------------------------------------------

  onComplete(batch: Batch): void {
    if (batch.proof === 'echo' || this.#gone) return;
    // Something was asked after it: its answer may be the answer to that, so the next echo decides.
    if (batch.proof === 'alone' && batch !== this.#newest) return;
    this.#deliverUpTo(batch);
  }

  /** The echo of a batch proves it, and all that were written before it. */
  onEcho(batch: Batch, reply: RawReply): void {
    if (this.#gone) return;
    const expected = `${this.#mark}${batch.sequence}`;
    if (Buffer.isBuffer(reply) && reply.toString('latin1') === expected) this.#deliverUpTo(batch);
    else this.onMismatch();
  }

  onMismatch(): void {
    this.end('replies came out of step', replyMismatch('replies came out of step'));
  }

  isEcho(reply: RawReply): boolean {
    const { length } = this.#markBytes;
    return (
      this.integrity &&
      Buffer.isBuffer(reply) &&
      reply.length > length &&
      reply.length < 64 &&
      reply.compare(this.#markBytes, 0, length, 0, length) === 0
    );
  }

  #onReady(): void {
    if (this.#gone) return;
    this.#open = true;
    this.lastReadAt = this.#clock.now();
    this.#redis.stream.on('data', () => {
      this.lastReadAt = this.#clock.now();
    });
    this.#events.onOpen();
  }

  #onError(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (message.startsWith('Command queue state error')) {
      // A server that is full says so before it was asked anything, and hangs up.
      const greeting = /Last error: (.+)$/u.exec(message)?.[1];
      if (this.#open || greeting === undefined) this.onMismatch();
      else this.end(safeMessage(greeting));
      return;
    }
    // The first error names the cause; "Connection is closed." only repeats it.
    if (!message.startsWith('Connection is closed')) this.#lastError ??= safeMessage(message);
    if (!this.#open) this.end(this.#lastError ?? safeMessage(message));
  }

  #write(entries: readonly Entry[], proof = this.#proofFor(entries)): void {
    const batch = new Batch(entries, this.integrity ? proof : 'none', this);
    if (!this.usable) {
      batch.fail(notConnected('the connection is not open'));
      return;
    }
    this.#append(batch);
    const now = this.#clock.now();
    for (let place = 0; place < entries.length; place += 1) {
      const entry = entries[place];
      if (entry === undefined) continue;
      for (const request of entry.requests) request.sentAt = now;
      if (entry.asking) this.#issue(new WireCommand(batch, ASKING_PLACE, 'ASKING', []));
      this.#issue(new WireCommand(batch, place, entry.name, entry.args));
    }
    if (batch.proof === 'echo') {
      this.#sequence = (this.#sequence + 1) % Number.MAX_SAFE_INTEGER;
      batch.sequence = this.#sequence;
      this.#issue(new WireCommand(batch, ECHO_PLACE, 'ECHO', [`${this.#mark}${this.#sequence}`]));
    }
    this.#sink.flush(this.#redis.stream, batch.refusal === undefined);
    if (batch.refusal !== undefined) this.#unwritable(batch, batch.refusal);
  }

  /** The driver found its socket unwritable before the first byte left: nothing was executed. */
  #unwritable(batch: Batch, reason: string): void {
    for (const entry of batch.entries) for (const request of entry.requests) request.sentAt = -1;
    batch.fail(notConnected(reason));
    // What the driver has queued of the batch would wait for answers to questions never asked.
    this.end(reason);
  }

  /**
   * A lone question needs no echo: as long as nothing else was asked, whatever answer comes is its own. That
   * spares serial callers a second command.
   */
  #proofFor(entries: readonly Entry[]): Proof {
    if (!this.integrity) return 'none';
    return this.#oldest === undefined && entries.length === 1 ? 'alone' : 'echo';
  }

  #append(batch: Batch): void {
    if (this.#newest === undefined) this.#oldest = batch;
    else this.#newest.next = batch;
    this.#newest = batch;
    this.#inFlight += batch.size;
  }

  #deliverUpTo(last: Batch): void {
    for (let batch = this.#oldest; batch !== undefined; batch = batch.next) {
      if (!batch.complete) {
        this.onMismatch();
        return;
      }
      if (batch === last) break;
    }
    for (;;) {
      const batch = this.#oldest;
      if (batch === undefined) return;
      this.#oldest = batch.next;
      // One that has grown old would hold the next one, and that the next: none of them would be young when it dies.
      batch.next = undefined;
      if (this.#oldest === undefined) this.#newest = undefined;
      this.#inFlight -= batch.size;
      const unclear = batch.deliver();
      if (unclear.length > 0) this.#write(planEntries(unclear, false));
      if (batch === last || this.#gone) return;
    }
  }

  #issue(command: WireCommand): void {
    void this.#redis.sendCommand(command.asDriverCommand(), this.#sink.asDriverStream());
  }
}

function weightOf(requests: readonly Request[]): number {
  let weight = 0;
  for (const { args } of requests) weight += args.length;
  return weight;
}

/** Many small parts cost the socket more than one copy of them; larger ones are not copied. */
const MOST_COPIED = 16_384;

/** Collects what the driver writes, so that a batch leaves in one piece. */
class Sink {
  #text = '';
  /** Only when some of it is bytes. */
  #parts: (string | Buffer)[] | undefined;

  write(part: string | Buffer): boolean {
    if (typeof part === 'string') {
      this.#text += part;
      return true;
    }
    this.#parts ??= [];
    if (this.#text !== '') this.#parts.push(this.#text);
    this.#text = '';
    this.#parts.push(part);
    return true;
  }

  /** Empties itself into the socket, or throws away what it holds. */
  flush(socket: Redis['stream'], wanted: boolean): void {
    const text = this.#text;
    const parts = this.#parts;
    this.#text = '';
    this.#parts = undefined;
    if (!wanted) return;
    if (parts === undefined) {
      socket.write(text);
      return;
    }
    if (text !== '') parts.push(text);
    if (parts.every((part) => part.length <= MOST_COPIED)) {
      socket.write(joined(parts));
      return;
    }
    socket.cork();
    for (const part of parts) socket.write(part);
    socket.uncork();
  }

  /** For the driver, which wants a whole stream and calls `write` of it. */
  asDriverStream(): DriverStream {
    return this as unknown as DriverStream;
  }
}

function joined(parts: readonly (string | Buffer)[]): Buffer {
  let size = 0;
  for (const part of parts) size += typeof part === 'string' ? Buffer.byteLength(part) : part.length;
  const whole = Buffer.allocUnsafe(size);
  let at = 0;
  for (const part of parts) at += typeof part === 'string' ? whole.write(part, at) : part.copy(whole, at);
  return whole;
}

function discard(redis: Redis): void {
  redis.removeAllListeners();
  redis.on('error', ignore);
  redis.disconnect();
  // `disconnect` says goodbye politely and waits; a dead peer would keep the socket for seconds.
  redis.stream?.destroy();
}

function ignore(): void {
  // Nobody is interested any more.
}
