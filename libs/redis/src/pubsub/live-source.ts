/** The pubsub modes: what is sent while the listener is there, and a word about every gap. */
import type { RedisClient, Subscription } from '../connection/index.js';
import { PubSubOverflowError } from './pubsub.errors.js';
import { LiveBuffer } from './live-buffer.js';
import type { RawMessage } from './message.js';
import type { ResolvedListen } from './pubsub.options.js';
import type { Source } from './source.js';

export interface LiveSourceParts {
  readonly client: RedisClient;
  readonly settings: ResolvedListen;
  /** The channel, or the pattern, in Redis. */
  readonly name: string;
  readonly sharded: boolean;
  onGap(): void;
  onDrop(): void;
}

export class LiveSource implements Source {
  readonly #parts: LiveSourceParts;
  readonly #buffer: LiveBuffer;
  #subscription: Subscription | undefined;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(parts: LiveSourceParts) {
    this.#parts = parts;
    this.#buffer = new LiveBuffer(parts.settings);
  }

  get dropped(): number {
    return this.#buffer.dropped;
  }

  start(): Promise<void> {
    if (this.#subscription !== undefined) return this.#subscription.ready;
    const { client, settings, name, sharded } = this.#parts;
    const where = settings.pattern
      ? { patterns: [name] }
      : sharded
        ? { shardChannels: [name] }
        : { channels: [name] };
    this.#subscription = client.subscribe({
      ...where,
      onMessage: (message) => {
        if (this.#stopped) return;
        if (!this.#buffer.push(message)) this.#parts.onDrop();
        this.#wake?.();
      },
      onGap: () => this.#parts.onGap(),
    });
    return this.#subscription.ready;
  }

  async take(): Promise<RawMessage | undefined> {
    for (;;) {
      if (this.#stopped) return undefined;
      const message = this.#buffer.shift();
      if (message !== undefined) {
        return { channel: message.channel, payload: message.payload, id: undefined, deliveries: 1 };
      }
      if (this.#buffer.overflown) throw overflow(this.#parts.settings);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
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
    this.#buffer.clear();
    this.#wake?.();
  }

  async close(): Promise<void> {
    this.stop();
    await this.#subscription?.close();
  }
}

function overflow({ buffer, bufferBytes }: ResolvedListen): PubSubOverflowError {
  return new PubSubOverflowError(
    `the listener was more than ${buffer} messages or ${bufferBytes} bytes behind`,
    { hint: 'take messages faster, raise buffer, or let some go: overflow: dropOldest', details: { buffer } },
  );
}
