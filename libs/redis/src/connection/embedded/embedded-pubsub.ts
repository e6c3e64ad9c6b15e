/** Publish and subscribe inside the process. */
import { telemetryChannel } from '../../core/index.js';
import type { Message, SubscribeOptions } from '../redis-client.js';
import { compileGlob, type GlobMatcher } from '../redis-glob.js';
import { bytesToBuffer, bytesToText, toBytes, type Bytes } from './byte-string.js';

const telemetry = telemetryChannel('connection');

interface Pattern {
  readonly text: string;
  readonly matches: GlobMatcher;
}

interface Subscriber {
  readonly channels: ReadonlySet<Bytes>;
  readonly patterns: readonly Pattern[];
  readonly options: SubscribeOptions;
  open: boolean;
}

export class EmbeddedPubSub {
  readonly #name: string;
  readonly #subscribers = new Set<Subscriber>();

  constructor(name: string) {
    this.#name = name;
  }

  /** The returned function ends the subscription. */
  subscribe(options: SubscribeOptions): () => void {
    const { channels = [], patterns = [] } = options;
    const subscriber: Subscriber = {
      channels: new Set(channels.map(toBytes)),
      patterns: [...new Set(patterns)].map((text) => ({ text, matches: compileGlob(toBytes(text)) })),
      options,
      open: true,
    };
    this.#subscribers.add(subscriber);
    return () => {
      subscriber.open = false;
      this.#subscribers.delete(subscriber);
    };
  }

  /** Returns how many subscriptions, channels and patterns counted apart, will get the message. */
  publish(channel: Bytes, payload: Bytes): number {
    let receivers = 0;
    for (const subscriber of this.#subscribers) {
      if (subscriber.channels.has(channel)) {
        receivers += 1;
        this.#deliver(subscriber, () => ({ channel: bytesToText(channel), payload: bytesToBuffer(payload) }));
      }
      for (const { text, matches } of subscriber.patterns) {
        if (!matches(channel)) continue;
        receivers += 1;
        this.#deliver(subscriber, () => ({
          channel: bytesToText(channel),
          pattern: text,
          payload: bytesToBuffer(payload),
        }));
      }
    }
    return receivers;
  }

  closeAll(): void {
    for (const subscriber of this.#subscribers) subscriber.open = false;
    this.#subscribers.clear();
  }

  /** After the publisher's own turn, as over a network; each receiver gets a payload of its own. */
  #deliver(subscriber: Subscriber, message: () => Message): void {
    queueMicrotask(() => {
      if (!subscriber.open) return;
      try {
        subscriber.options.onMessage(message());
      } catch (error) {
        this.#reportListener(error);
      }
    });
  }

  #reportListener(error: unknown): void {
    if (!telemetry.active) return;
    const outcome = error instanceof Error ? error.name : typeof error;
    telemetry.publish({ name: 'connection.listener-failed', subject: this.#name, outcome });
  }
}
