/**
 * Messages between processes: to whoever listens at that moment, or kept in a stream for everybody or for one of
 * a group. See docs/pubsub.md for what each mode promises.
 */
import { randomBytes } from 'node:crypto';
import { Observable } from 'rxjs';
import { createCodec, type CodecOptions } from '../codec/index.js';
import type { CallOptions, RedisClient } from '../connection/index.js';
import { spans, systemClock, telemetryChannel, type Clock } from '../core/index.js';
import { GroupSource } from './group-source.js';
import { LiveSource } from './live-source.js';
import { Envelopes, type EventOf, type Message } from './message.js';
import { MessageStream } from './message-stream.js';
import { PubSubClosedError } from './pubsub.errors.js';
import { PubSubKeys } from './pubsub.keys.js';
import {
  PUBSUB_DEFAULTS,
  resolveChannel,
  resolveListen,
  resolvePubSub,
  type ChannelOptions,
  type Gap,
  type ListenOptions,
  type PubSubOptions,
  type ResolvedListen,
} from './pubsub.options.js';
import { appendScript } from './pubsub.scripts.js';
import type { Source } from './source.js';
import { entriesOf } from './stream-entries.js';
import { StreamSource } from './stream-source.js';

export interface PubSubSurroundings {
  readonly client: RedisClient;
  readonly namespace: string;
  readonly codec?: CodecOptions | undefined;
  readonly clock?: Clock;
}

export interface PublishOptions extends ChannelOptions, Pick<CallOptions, 'signal' | 'timeout'> {}

/** What became of a message. */
export interface Receipt {
  /** Its id in the stream; undefined in the pubsub modes. */
  readonly id: string | undefined;
  /** How many connections it was handed to, in a cluster those of one node; undefined where it is kept. */
  readonly receivers: number | undefined;
}

/** A message that was handed out `maxDeliveries` times and never acknowledged. */
export interface DeadLetter<T = unknown> {
  readonly channel: string;
  readonly data: T;
  readonly at: number;
  readonly origin: string;
  /** The id it had in the stream. */
  readonly id: string;
  readonly deliveries: number;
}

export interface PubSubStats {
  readonly listeners: number;
  readonly published: number;
  readonly dropped: number;
  readonly unreadable: number;
  readonly gaps: number;
}

const telemetry = telemetryChannel('pubsub');

export class PubSub {
  /** Names this service among the publishers. */
  readonly origin = randomBytes(9).toString('base64url');
  readonly #client: RedisClient;
  readonly #clock: Clock;
  readonly #keys: PubSubKeys;
  readonly #envelopes: Envelopes;
  readonly #options: PubSubOptions;
  readonly #ends = new Map<object, () => Promise<unknown>>();
  #closed = false;
  #published = 0;
  #dropped = 0;
  #unreadable = 0;
  #gaps = 0;

  constructor(surroundings: PubSubSurroundings, options: PubSubOptions = {}) {
    resolvePubSub(options);
    this.#client = surroundings.client;
    this.#clock = surroundings.clock ?? systemClock;
    this.#keys = new PubSubKeys(surroundings.namespace);
    const codec = createCodec(options.codec ?? surroundings.codec);
    this.#envelopes = new Envelopes(codec, surroundings.namespace);
    this.#options = options;
  }

  /**
   * Sends a message. It is not sent again when Redis does not answer: then it may have arrived.
   * ```ts
   * await pubsub.publish('order.changed', { id: 42, status: 'paid' });
   * ```
   */
  async publish<Channel extends string>(
    channel: Channel,
    data: EventOf<Channel>,
    options: PublishOptions = {},
  ): Promise<Receipt> {
    if (!spans.active) return this.#publish(channel, data, options);
    // A channel may be made of data; one that is declared is not.
    const subject = this.#options.channels?.[channel] === undefined ? 'undeclared' : channel;
    const plan = { name: 'pubsub.publish', subject, kind: 'producer' } as const;
    return spans.around(plan, () => this.#publish(channel, data, options));
  }

  async #publish(channel: string, data: unknown, options: PublishOptions): Promise<Receipt> {
    if (this.#closed) throw closed();
    const settings = resolveChannel({ ...this.#optionsOf(channel), ...options });
    const { signal, timeout } = options;
    const call: CallOptions = { signal, timeout };
    const live = settings.mode === 'pubsub' || settings.mode === 'sharded';
    const traceparent = spans.carry();
    const opened = { origin: this.origin, at: this.#clock.wallNow(), data, traceparent };
    if (live) {
      const name = this.#keys.channel(channel);
      const command = settings.mode === 'sharded' && this.#shards ? 'SPUBLISH' : 'PUBLISH';
      const payload = await this.#envelopes.seal(name, opened);
      const receivers = await this.#client.command<number>(command, [name, payload], call);
      this.#published += 1;
      return { id: undefined, receivers };
    }
    const { stream, count, wake } = this.#keys.stream(channel);
    const payload = await this.#envelopes.seal(stream, opened);
    const { maxLength, retentionMs } = settings;
    const args = { payload, maxLength, retentionMs, channel: wake };
    const id = await this.#client.run(appendScript, [stream, count], args, call);
    this.#published += 1;
    return { id, receivers: undefined };
  }

  /**
   * Listens, from the first `next()` or `start()` on, until `return()`, the end of a `for await`, or the signal.
   * ```ts
   * for await (const { data } of pubsub.subscribe('order.changed', { signal })) show(data);
   * ```
   */
  subscribe<Channel extends string>(
    channel: Channel,
    options: ListenOptions = {},
  ): MessageStream<EventOf<Channel>> {
    return this.listen<EventOf<Channel>>(channel, options, true);
  }

  /**
   * The same as an Observable, for `@Sse()` and the like: each subscription of it listens for itself and stops
   * with it.
   */
  observe<Channel extends string>(
    channel: Channel,
    options: ListenOptions = {},
  ): Observable<Message<EventOf<Channel>>> {
    return new Observable((observer) => {
      const stream = this.subscribe(channel, options);
      const pump = async (): Promise<void> => {
        for await (const message of stream) observer.next(message);
      };
      pump().then(
        () => observer.complete(),
        (error: unknown) => observer.error(error),
      );
      return () => void stream.return();
    });
  }

  /** As {@link subscribe}; with `autoAck` false every message has to be acknowledged by hand. */
  listen<T>(channel: string, options: ListenOptions, autoAck: boolean): MessageStream<T> {
    if (this.#closed) throw closed();
    const settings = resolveListen({ ...this.#optionsOf(channel), ...options });
    const tellGap = (missed?: number): void => this.#tellGap({ channel, missed }, options.onGap);
    const stream = new MessageStream<T>({
      source: this.#sourceOf(channel, settings, tellGap),
      envelopes: this.#envelopes,
      origin: this.origin,
      ignoreOwn: settings.ignoreOwn,
      signal: options.signal,
      autoAck,
      nameOf: (raw) => (settings.pattern ? this.#keys.nameOf(raw.channel) : channel),
      onUnreadable: () => {
        this.#unreadable += 1;
        this.#report('unreadable');
      },
      onEnd: (ended) => void this.#ends.delete(ended),
    });
    if (!stream.ended) this.#ends.set(stream, () => stream.return());
    return stream;
  }

  /**
   * The newest messages a group could not handle, newest first. They stay in their own stream for its retention.
   */
  async deadLetters<Channel extends string>(
    channel: Channel,
    options: { group?: string; count?: number } = {},
  ): Promise<readonly DeadLetter<EventOf<Channel>>[]> {
    const { group = PUBSUB_DEFAULTS.group, count = 100 } = options;
    const dead = this.#keys.dead(channel, group);
    const args = [dead, '+', '-', 'COUNT', count];
    const entries = entriesOf(await this.#client.command('XREVRANGE', args, { reply: 'bytes' }));
    const { stream } = this.#keys.stream(channel);
    const letters: DeadLetter<EventOf<Channel>>[] = [];
    for (const { payload, fields } of entries) {
      const opened = await this.#envelopes.open(stream, payload);
      if (opened === undefined) continue;
      const { origin, at } = opened;
      const data = opened.data as EventOf<Channel>;
      const [id, deliveries] = [fields.get('id') ?? '', Number(fields.get('deliveries'))];
      letters.push({ channel, data, at, origin, id, deliveries });
    }
    return letters;
  }

  stats(): PubSubStats {
    return {
      listeners: this.#ends.size,
      published: this.#published,
      dropped: this.#dropped,
      unreadable: this.#unreadable,
      gaps: this.#gaps,
    };
  }

  /** Ends every listener. */
  async disconnect(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#ends.values()].map((end) => end()));
  }

  /** Elsewhere than in a cluster there is one shard, and every channel is on it. */
  get #shards(): boolean {
    return this.#client.topology === 'cluster';
  }

  #optionsOf(channel: string): PubSubOptions {
    const { channels, codec: _, ...rest } = this.#options;
    return { ...rest, ...channels?.[channel] };
  }

  #sourceOf(channel: string, settings: ResolvedListen, onGap: (missed?: number) => void): Source {
    const client = this.#client;
    const clock = this.#clock;
    if (settings.mode === 'pubsub' || settings.mode === 'sharded') {
      const name = settings.pattern ? this.#keys.pattern(channel) : this.#keys.channel(channel);
      const sharded = settings.mode === 'sharded' && this.#shards;
      const onDrop = (): void => {
        this.#dropped += 1;
        this.#report('dropped');
      };
      return new LiveSource({ client, settings, name, sharded, onGap, onDrop });
    }
    const names = this.#keys.stream(channel);
    if (settings.mode === 'stream') return new StreamSource({ client, clock, settings, names, onGap });
    const dead = this.#keys.dead(channel, settings.group);
    const onDead = (): void => this.#report('dead-letter');
    return new GroupSource({ client, clock, settings, names, dead, onDead });
  }

  #tellGap(gap: Gap, onGap: ((gap: Gap) => void) | undefined): void {
    this.#gaps += 1;
    this.#report('gap');
    try {
      onGap?.(gap);
    } catch (error) {
      this.#report('listener-failed', error instanceof Error ? error.name : 'unknown');
    }
  }

  #report(what: string, outcome?: string): void {
    if (!telemetry.active) return;
    const event = { name: `pubsub.${what}`, subject: this.#client.name };
    telemetry.publish(outcome === undefined ? event : { ...event, outcome });
  }
}

function closed(): PubSubClosedError {
  return new PubSubClosedError('pub/sub was closed');
}
