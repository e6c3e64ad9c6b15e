/**
 * The one connection of a client that listens. Channels are counted: the first listener subscribes on the
 * server, the last one leaving unsubscribes. Whenever the connection was away, every listener is told of the
 * gap, because messages sent meanwhile are lost.
 */
import { Redis, ReplyError } from './driver.js';
import { safeMessage, telemetryChannel, withDeadline, type Clock, type Timer } from '../core/index.js';
import { fullJitter, type Backoff } from '../resilience/index.js';
import { ConnectionClosedError, NotConnectedError, RedisReplyError } from './connection.errors.js';
import type { Address, ResolvedConnection } from './connection.options.js';
import { subscriberProfile, targetOf } from './driver-options.js';
import type { SubscribeOptions, Subscription } from './redis-client.js';

export interface SubscriberOptions {
  readonly connection: ResolvedConnection;
  readonly clock: Clock;
  readonly random: () => number;
  locate(): Promise<Address>;
  /** A shard channel is served by another node from now on. */
  onMoved?(): void;
}

type Kind = 'channel' | 'pattern' | 'shard';
type Names = Record<Kind, readonly string[]>;

const KINDS = ['channel', 'pattern', 'shard'] as const;
const NONE: Names = { channel: [], pattern: [], shard: [] };
const RECONNECT = { baseMs: 50, maxMs: 2_000 };
const STABLE_MS = 1_000;

export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #backoff: Backoff;
  readonly #telemetry = telemetryChannel('pubsub');
  readonly #listeners: Record<Kind, Map<string, Set<SubscribeOptions>>> = {
    channel: new Map(),
    pattern: new Map(),
    shard: new Map(),
  };
  #redis: Redis | undefined;
  #ready: Redis | undefined;
  #opening = false;
  #closed = false;
  #failures = 0;
  #readySince = 0;
  #interrupted = false;
  #lastError = 'not connected yet';
  #retryTimer: Timer | undefined;
  #heartbeatTimer: Timer | undefined;
  #misses = 0;
  readonly #waiters = new Set<() => void>();

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#backoff = fullJitter(RECONNECT, options.random);
  }

  subscribe(options: SubscribeOptions): Subscription {
    const channels = options.channels ?? [];
    const patterns = options.patterns ?? [];
    const shards = options.shardChannels ?? [];
    for (const name of channels) this.#add('channel', name, options);
    for (const name of patterns) this.#add('pattern', name, options);
    for (const name of shards) this.#add('shard', name, options);
    const ready = this.#confirm({ channel: channels, pattern: patterns, shard: shards });
    ready.catch((error: unknown) => {
      // Refused is refused: it would only stand in the way of the names that are allowed.
      if (error instanceof RedisReplyError) void this.#remove(options);
    });
    let closing: Promise<void> | undefined;
    return {
      ready,
      close: () => (closing ??= this.#remove(options)),
    };
  }

  close(): void {
    this.#closed = true;
    this.#retryTimer?.cancel();
    this.#heartbeatTimer?.cancel();
    this.#drop();
    for (const wake of this.#waiters) wake();
  }

  async #confirm(added: Names): Promise<void> {
    const { connection, clock } = this.#options;
    await withDeadline(this.#subscribeWhenReady(added), {
      timeoutMs: connection.connectTimeoutMs,
      what: 'subscribe',
      clock,
      onTimeout: () =>
        new NotConnectedError(
          `subscribe: not confirmed within ${connection.connectTimeoutMs} ms (${this.#lastError})`,
          {
            hint: 'the subscription stays and is made as soon as the server answers',
          },
        ),
    });
  }

  async #subscribeWhenReady(added: Names): Promise<void> {
    void this.#open();
    while (this.#ready === undefined) {
      if (this.#closed) throw new ConnectionClosedError('subscribe: the client was closed');
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
      this.#waiters.clear();
    }
    try {
      await this.#send(this.#ready, this.#stillWanted(added));
    } catch (error) {
      // The driver's own error carries the whole command.
      if (!isRefusal(error)) throw error;
      throw new RedisReplyError(error.message, { command: 'SUBSCRIBE' });
    }
  }

  /** Whoever asked may have left while the connection was made: nobody would ever unsubscribe for them. */
  #stillWanted(names: Names): Names {
    const wanted = (kind: Kind): readonly string[] =>
      names[kind].filter((name) => this.#listeners[kind].has(name));
    return { channel: wanted('channel'), pattern: wanted('pattern'), shard: wanted('shard') };
  }

  async #send(redis: Redis, names: Names): Promise<void> {
    if (names.channel.length > 0) await redis.subscribe(...names.channel);
    if (names.pattern.length > 0) await redis.psubscribe(...names.pattern);
    // One at a time: the channels of one command have to share a slot.
    await Promise.all(names.shard.map((name) => redis.ssubscribe(name)));
  }

  /** Everything wanted in one go; when some name is refused, each on its own, so that it harms no other. */
  async #sendAll(redis: Redis): Promise<void> {
    const channels = [...this.#listeners.channel.keys()];
    const patterns = [...this.#listeners.pattern.keys()];
    const shards = [...this.#listeners.shard.keys()];
    try {
      await this.#send(redis, { channel: channels, pattern: patterns, shard: shards });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const alone = [
        ...channels.map((name) => this.#send(redis, { ...NONE, channel: [name] })),
        ...patterns.map((name) => this.#send(redis, { ...NONE, pattern: [name] })),
        ...shards.map((name) => this.#send(redis, { ...NONE, shard: [name] })),
      ];
      for (const outcome of await Promise.allSettled(alone)) {
        if (outcome.status === 'rejected' && !isRefusal(outcome.reason)) throw outcome.reason;
      }
    }
  }

  async #open(): Promise<void> {
    if (this.#redis !== undefined || this.#opening || this.#closed) return;
    this.#opening = true;
    try {
      const { connection } = this.#options;
      const address = await this.#options.locate();
      const driver = await subscriberProfile(targetOf(connection, address));
      if (this.#closed) return;
      this.#attach(new Redis(driver));
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error));
    } finally {
      this.#opening = false;
    }
  }

  #attach(redis: Redis): void {
    this.#redis = redis;
    const onEnd = (): void => {
      if (this.#redis === redis) this.#lost(this.#lastError);
    };
    redis.on('error', (error: unknown) => {
      this.#lastError = error instanceof Error ? safeMessage(error.message) : 'unknown error';
    });
    redis.on('close', onEnd);
    redis.on('end', onEnd);
    redis.on('messageBuffer', (channel: Buffer, payload: Buffer) =>
      this.#deliver('channel', channel.toString(), { channel: channel.toString(), payload }),
    );
    redis.on('pmessageBuffer', (pattern: Buffer | string, channel: Buffer, payload: Buffer) =>
      this.#deliver('pattern', pattern.toString(), {
        channel: channel.toString(),
        pattern: pattern.toString(),
        payload,
      }),
    );
    redis.on('smessageBuffer', (channel: Buffer, payload: Buffer) =>
      this.#deliver('shard', channel.toString(), { channel: channel.toString(), payload }),
    );
    redis.on('moved', () => this.#options.onMoved?.());
    redis.on('ready', () => void this.#resume(redis));
    redis.connect().catch(() => undefined);
  }

  /** Subscribes to everything wanted, then tells that there was a gap, then lets new listeners in. */
  async #resume(redis: Redis): Promise<void> {
    try {
      await this.#sendAll(redis);
    } catch (error) {
      this.#lastError = error instanceof Error ? safeMessage(error.message) : 'unknown error';
      redis.disconnect();
      return;
    }
    if (redis !== this.#redis) return;
    this.#ready = redis;
    this.#readySince = this.#options.clock.now();
    this.#misses = 0;
    this.#scheduleHeartbeat(redis);
    if (this.#interrupted) this.#tell((listener) => listener.onGap?.());
    this.#interrupted = false;
    for (const wake of this.#waiters) wake();
  }

  #lost(reason: string): void {
    this.#lastError = safeMessage(reason);
    const stood = this.#ready !== undefined;
    if (stood) this.#interrupted = true;
    const stable = this.#ready !== undefined && this.#options.clock.now() - this.#readySince >= STABLE_MS;
    this.#failures = stable ? 0 : this.#failures + 1;
    this.#drop();
    if (stood) this.#tell((listener) => listener.onLost?.());
    if (this.#closed || !this.#wanted) return;
    this.#publish('lost', this.#lastError);
    this.#retryTimer?.cancel();
    this.#retryTimer = this.#options.clock.after(this.#backoff(this.#failures), () => void this.#open());
  }

  #drop(): void {
    const redis = this.#redis;
    this.#redis = undefined;
    this.#ready = undefined;
    this.#heartbeatTimer?.cancel();
    if (redis === undefined) return;
    redis.removeAllListeners();
    redis.on('error', () => undefined);
    redis.disconnect();
    redis.stream?.destroy();
  }

  /** A half-open link delivers nothing and reports nothing: only a question that stays unanswered shows it. */
  #scheduleHeartbeat(redis: Redis): void {
    const { connection, clock } = this.#options;
    this.#heartbeatTimer = clock.after(connection.heartbeatMs, () => {
      withDeadline(redis.ping(), { timeoutMs: connection.timeoutMs, what: 'PING', clock }).then(
        () => {
          this.#misses = 0;
          if (redis === this.#redis) this.#scheduleHeartbeat(redis);
        },
        () => {
          this.#misses += 1;
          if (redis !== this.#redis) return;
          if (this.#misses >= 2) this.#lost('the server went silent');
          else this.#scheduleHeartbeat(redis);
        },
      );
    });
  }

  get #wanted(): boolean {
    const { channel, pattern, shard } = this.#listeners;
    return channel.size + pattern.size + shard.size > 0;
  }

  #add(kind: Kind, name: string, listener: SubscribeOptions): void {
    const listeners = this.#listeners[kind].get(name);
    if (listeners === undefined) this.#listeners[kind].set(name, new Set([listener]));
    else listeners.add(listener);
  }

  async #remove(listener: SubscribeOptions): Promise<void> {
    const left: Record<Kind, string[]> = { channel: [], pattern: [], shard: [] };
    for (const kind of KINDS) {
      for (const [name, listeners] of this.#listeners[kind]) {
        if (!listeners.delete(listener) || listeners.size > 0) continue;
        this.#listeners[kind].delete(name);
        left[kind].push(name);
      }
    }
    if (!this.#wanted) {
      // Nobody listens: the connection is not kept for later.
      this.#retryTimer?.cancel();
      this.#drop();
      return;
    }
    const redis = this.#ready;
    if (redis === undefined) return;
    const { timeoutMs } = this.#options.connection;
    const leaving = Promise.all([
      left.channel.length > 0 ? redis.unsubscribe(...left.channel) : undefined,
      left.pattern.length > 0 ? redis.punsubscribe(...left.pattern) : undefined,
      ...left.shard.map((name) => redis.sunsubscribe(name)),
    ]);
    // When the server does not answer, the name is simply not asked for again after the next connection.
    await withDeadline(leaving, { timeoutMs, what: 'unsubscribe' }).catch(() => undefined);
  }

  #deliver(kind: Kind, name: string, message: { channel: string; pattern?: string; payload: Buffer }): void {
    for (const listener of this.#listeners[kind].get(name) ?? []) {
      try {
        listener.onMessage(message);
      } catch (error) {
        this.#publish('handler-error', error instanceof Error ? error.name : 'unknown');
      }
    }
  }

  #tell(news: (listener: SubscribeOptions) => void): void {
    const all = KINDS.flatMap((kind) => [...this.#listeners[kind].values()]);
    const listeners = new Set(all.flatMap((set) => [...set]));
    for (const listener of listeners) {
      try {
        news(listener);
      } catch (error) {
        this.#publish('handler-error', error instanceof Error ? error.name : 'unknown');
      }
    }
  }

  #publish(what: string, outcome: string): void {
    if (!this.#telemetry.active) return;
    this.#telemetry.publish({ name: `pubsub.${what}`, subject: this.#options.connection.name, outcome });
  }
}

/** The server understood and said no; anything else is a matter of the connection. */
function isRefusal(error: unknown): error is Error {
  return error instanceof ReplyError;
}
