/** A message, its envelope, and the map of what is sent where. */
import type { Codec } from '../codec/index.js';

/**
 * What is sent on which channel, for the types; extend it where the events are declared:
 * ```ts
 * declare module '@anbar/nestjs-redis/pubsub' {
 *   interface PubSubEvents { 'order.changed': { id: number; status: string } }
 * }
 * ```
 */
export interface PubSubEvents {}

export type EventOf<Channel extends string> = Channel extends keyof PubSubEvents
  ? PubSubEvents[Channel]
  : unknown;

export interface Message<T = unknown> {
  readonly channel: string;
  readonly data: T;
  /** When it was published, in milliseconds since 1970 by the publisher's clock. */
  readonly at: number;
  /** Which service published it; `own` when it was this one. */
  readonly origin: string;
  readonly own: boolean;
  /** Its place in the stream, to go on from; none in the pubsub modes. */
  readonly id: string | undefined;
  /** How often it was handed out, this time included; 1 but in groups. */
  readonly deliveries: number;
  /** Where its publisher stood in a trace (W3C), when spans were recorded there. */
  readonly traceparent?: string | undefined;
  /**
   * It is done: no one else of the group gets it. Done by itself when the next message is asked for. Without a
   * meaning in other modes.
   */
  ack(): Promise<void>;
  /** It is not done: the group hands it out again after `redeliverAfter`. Without a meaning in other modes. */
  release(): void;
}

/** What travels. */
interface Envelope {
  readonly o: string;
  readonly t: number;
  readonly d: unknown;
  readonly c?: string;
}

/** A message as it comes from a source, not yet decoded. */
export interface RawMessage {
  readonly channel: string;
  readonly payload: Buffer;
  readonly id: string | undefined;
  readonly deliveries: number;
}

export interface Opened {
  readonly origin: string;
  readonly at: number;
  readonly data: unknown;
  readonly traceparent?: string | undefined;
}

export class Envelopes {
  readonly #codec: Codec;
  readonly #namespace: string;

  constructor(codec: Codec, namespace: string) {
    this.#codec = codec;
    this.#namespace = namespace;
  }

  /** `name` is the channel or the stream in Redis: a message replayed elsewhere is not believed. */
  seal(name: string, { origin, at, data, traceparent }: Opened): Buffer | Promise<Buffer> {
    const sent = { o: origin, t: at, d: data };
    const envelope: Envelope = traceparent === undefined ? sent : { ...sent, c: traceparent };
    return this.#codec.encode(envelope, { namespace: this.#namespace, key: name });
  }

  /** Undefined for what is none of ours, or can not be read. */
  async open(name: string, payload: Buffer): Promise<Opened | undefined> {
    const decoded = await this.#codec.decode(payload, { namespace: this.#namespace, key: name });
    if (!decoded.ok || !isEnvelope(decoded.value)) return undefined;
    const { o, t, d, c } = decoded.value;
    return { origin: o, at: t, data: d, traceparent: typeof c === 'string' ? c : undefined };
  }
}

function isEnvelope(value: unknown): value is Envelope {
  if (typeof value !== 'object' || value === null) return false;
  return typeof Reflect.get(value, 'o') === 'string' && typeof Reflect.get(value, 't') === 'number';
}
