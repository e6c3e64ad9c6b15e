/**
 * Every channel and key of pub/sub. A channel of the pubsub modes is `<namespace>:v1:pubsub:<channel>`; a stream
 * has its channel in the hash tag, so that all its keys share a slot.
 */
import { escapeGlob, escapeSegment } from '../connection/index.js';
import { InvalidPubSubOptionsError } from './pubsub.errors.js';

/** The layout of keys and of what stands in them; another layout is another number. */
const WIRE_VERSION = 'v1';

export interface StreamNames {
  readonly stream: string;
  /** How many messages there ever were: the number of the last one. */
  readonly count: string;
  /** Rings for readers when something was added. */
  readonly wake: string;
}

export class PubSubKeys {
  /** What the codec binds messages to. */
  readonly namespace: string;
  readonly #root: string;
  readonly #channels: string;

  constructor(namespace: string) {
    this.namespace = namespace;
    this.#root = `${escaped(namespace, 'namespace')}:${WIRE_VERSION}`;
    this.#channels = `${this.#root}:pubsub:`;
  }

  channel(name: string): string {
    return this.#channels + escaped(name, 'channel');
  }

  /** For `PSUBSCRIBE`: what is data in it is data, what the user wrote is a glob. */
  pattern(glob: string): string {
    return escapeGlob(this.#channels) + escaped(glob, 'pattern');
  }

  /** The name a channel was published under. */
  nameOf(channel: string): string {
    return channel
      .slice(this.#channels.length)
      .replace(/%([\dA-F]{2})/gu, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  }

  stream(name: string): StreamNames {
    const tag = `{${escaped(name, 'channel')}}`;
    return {
      stream: `${this.#root}:stream:${tag}`,
      count: `${this.#root}:stream-count:${tag}`,
      wake: `${this.#root}:stream-wake:${tag}`,
    };
  }

  /** Where a group puts what it could not handle. */
  dead(name: string, group: string): string {
    return `${this.#root}:stream-dead:{${escaped(name, 'channel')}}:${escapeSegment(group)}`;
  }
}

/** A colon separates, as in keys; everything else that means something in a key is escaped. */
function escaped(name: unknown, what: string): string {
  if (typeof name !== 'string' || name === '') {
    throw new InvalidPubSubOptionsError(`${what}: it is ${name === '' ? 'empty' : `a ${typeof name}`}`, {
      hint: "give it a name, such as 'orders' or 'order.changed'",
    });
  }
  return name.split(':').map(escapeSegment).join(':');
}
