/**
 * Every message of a stream, in order, from a place on. Nothing is fetched before it is asked for, so a slow
 * listener costs no memory here; and as the place is known, nothing is lost while the connection is away.
 *
 * Why not `XREAD BLOCK`: it takes a connection per stream and listener, which has no deadline and can not be told
 * from a dead one. A ring over the one connection that listens anyway costs a hop more and scales with channels.
 */
import type { RedisClient } from '../connection/index.js';
import type { Clock } from '../core/index.js';
import { Doorbell } from './doorbell.js';
import type { RawMessage } from './message.js';
import type { StreamNames } from './pubsub.keys.js';
import type { ResolvedListen } from './pubsub.options.js';
import type { Source } from './source.js';
import { entriesOf, entriesRead, type StreamEntry } from './stream-entries.js';

export interface StreamSourceParts {
  readonly client: RedisClient;
  readonly clock: Clock;
  readonly settings: ResolvedListen;
  readonly names: StreamNames;
  onGap(missed: number): void;
}

/** Entries per round trip. */
const BATCH = 100;
/** How often the stream is looked at when nobody rings: what others add by themselves rings nothing. */
export const SAFETY_MS = 2_000;
/** The same while Redis does not answer. */
export const AFTER_FAILURE_MS = 250;
const BEGINNING = '0-0';

export class StreamSource implements Source {
  readonly dropped = 0;
  readonly #parts: StreamSourceParts;
  #entries: StreamEntry[] = [];
  #bell: Doorbell | undefined;
  #last: string | undefined;
  #number: number | undefined;
  #starting: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: StreamSourceParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    const { client, clock, names } = this.#parts;
    if (this.#stopped) return;
    this.#bell ??= new Doorbell(client, names.wake, clock);
    this.#starting ??= this.#findPlace();
    try {
      await this.#starting;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  async take(): Promise<RawMessage | undefined> {
    for (;;) {
      if (this.#stopped) return undefined;
      const entry = this.#entries.shift();
      if (entry !== undefined) return this.#toMessage(entry);
      const waitMs = await this.#fetch();
      if (waitMs > 0 && this.#entries.length === 0) await this.#bell?.wait(waitMs);
    }
  }

  ack(): Promise<void> {
    return Promise.resolve();
  }

  release(): void {
    // Nobody else would get it.
  }

  discard(): Promise<void> {
    return Promise.resolve();
  }

  stop(): void {
    this.#stopped = true;
    this.#entries = [];
    this.#bell?.ring();
  }

  async close(): Promise<void> {
    this.stop();
    await this.#bell?.close();
  }

  async #findPlace(): Promise<void> {
    if (this.#last !== undefined) return;
    const { client, settings, names } = this.#parts;
    if (settings.from === 'beginning') this.#last = BEGINNING;
    else if (settings.from !== 'new') this.#last = settings.from;
    else {
      const args = [names.stream, '+', '-', 'COUNT', 1];
      const [newest] = entriesOf(await client.command('XREVRANGE', args, { reply: 'bytes' }));
      this.#last = newest?.id ?? BEGINNING;
      this.#number = newest?.number;
    }
  }

  /** Answers how long to wait when there was nothing. */
  async #fetch(): Promise<number> {
    const { client, names } = this.#parts;
    try {
      await this.start();
      const args = ['COUNT', BATCH, 'STREAMS', names.stream, this.#last ?? BEGINNING];
      this.#entries = entriesRead(await client.command('XREAD', args, { reply: 'bytes' }));
    } catch {
      return AFTER_FAILURE_MS;
    }
    return SAFETY_MS;
  }

  #toMessage({ id, payload, number }: StreamEntry): RawMessage {
    this.#last = id;
    if (number !== undefined) {
      const missed = this.#number === undefined ? 0 : number - this.#number - 1;
      // A lower number belongs to a stream that began anew.
      if (missed > 0) this.#parts.onGap(missed);
      this.#number = number;
    }
    return { channel: this.#parts.names.stream, payload, id, deliveries: 1 };
  }
}
