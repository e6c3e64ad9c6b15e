/**
 * The embedded implementation of the port: a Redis inside the process, for an application that has none.
 *
 * A call takes effect at once and in the order of calls; only its answer comes later, as a promise. So every
 * command, pipeline and script is atomic, and a deadline never has anything to wait for.
 */
import { abortReason, parsePositiveDuration, systemClock, type Clock } from '../../core/index.js';
import { CircuitOpenError } from '../../resilience/index.js';
import { assertShareable } from '../command-table.js';
import { ConnectionClosedError, RedisReplyError } from '../connection.errors.js';
import type {
  Arg,
  CallOptions,
  ClientEvents,
  ClientStatus,
  PipelineCommand,
  PipelineResult,
  RedisClient,
  Reply,
  ScanOptions,
  SubscribeOptions,
  Subscription,
  TrackOptions,
  Tracking,
} from '../redis-client.js';
import { replyItems, replyText } from '../reply.js';
import type { Script } from '../script.js';
import { EmbeddedEngine } from './embedded-engine.js';
import { EmbeddedPubSub } from './embedded-pubsub.js';
import { EmbeddedTracking } from './embedded-tracking.js';
import { toBytesReply, toTextReply, type EngineReply } from './engine-reply.js';
import type { Keyspace } from './keyspace.js';

export interface EmbeddedClientOptions {
  readonly name: string;
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** Accepted for the sake of the other clients; no call here ever waits. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

export type EmbeddedClient = RedisClient & { readonly keyspace: Keyspace };

type Listener = (detail: ClientEvents[keyof ClientEvents]) => void;

const NODE = 'embedded';
const SCAN_COUNT = 500;

export function createEmbeddedClient(options: EmbeddedClientOptions): EmbeddedClient {
  return new InProcessClient(options);
}

class InProcessClient implements EmbeddedClient {
  readonly name: string;
  readonly topology = 'embedded';
  readonly #clock: Clock;
  readonly #pubsub: EmbeddedPubSub;
  readonly #engine: EmbeddedEngine;
  readonly #tracking: EmbeddedTracking;
  readonly #listeners = new Map<keyof ClientEvents, Set<Listener>>();
  #connected = false;
  #closed = false;
  #isolated = false;
  #since: number;

  constructor({ name, maxEntries, maxBytes, clock = systemClock }: EmbeddedClientOptions) {
    this.name = name;
    this.#clock = clock;
    this.#since = clock.wallNow();
    this.#pubsub = new EmbeddedPubSub(name);
    this.#engine = new EmbeddedEngine({
      limits: { maxEntries, maxBytes },
      clock,
      publish: (channel, payload) => this.#pubsub.publish(channel, payload),
    });
    this.#tracking = new EmbeddedTracking(name, this.#engine.keyspace);
  }

  get keyspace(): Keyspace {
    return this.#engine.keyspace;
  }

  connect(): Promise<void> {
    if (this.#closed) return Promise.reject(closedError(this.name));
    if (!this.#connected) {
      this.#connected = true;
      this.#emit('ready', { node: NODE });
    }
    return Promise.resolve();
  }

  disconnect(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#since = this.#clock.wallNow();
      this.#engine.stop();
      this.#pubsub.closeAll();
      this.#tracking.closeAll();
    }
    return Promise.resolve();
  }

  command<R extends Reply = Reply>(name: string, args: readonly Arg[], options?: CallOptions): Promise<R> {
    return this.#answer(options, () => this.#execute({ name, args }, options) as R);
  }

  pipeline(commands: readonly PipelineCommand[], options?: CallOptions): Promise<readonly PipelineResult[]> {
    return Promise.resolve(commands.map((command) => this.#outcome(command, options)));
  }

  run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options?: CallOptions,
  ): Promise<Result> {
    return this.#answer(options, () => {
      const reply = this.#engine.runScript((keyspace) => script.twin(keyspace, keys, args), script.readOnly);
      return script.decode(asFromLua(reply));
    });
  }

  async *scan(options: ScanOptions = {}): AsyncIterable<readonly string[]> {
    const { match, count = SCAN_COUNT, type, timeout, onPage, signal } = options;
    const filter: Arg[] = ['COUNT', count];
    if (match !== undefined) filter.push('MATCH', match);
    if (type !== undefined) filter.push('TYPE', type);
    let cursor = '0';
    do {
      const reply = await this.command('SCAN', [cursor, ...filter], { signal, timeout });
      const [next, keys] = replyItems(reply);
      cursor = replyText(next);
      const names = replyItems(keys).map(replyText);
      await onPage?.({ node: NODE, durationMs: 0, names: names.length });
      if (names.length > 0) yield names;
    } while (cursor !== '0');
  }

  subscribe(options: SubscribeOptions): Subscription {
    if (this.#closed) {
      const ready = Promise.reject<void>(closedError(this.name));
      // Whoever awaits it is told; whoever does not must not crash the process for it.
      ready.catch(() => undefined);
      return { ready, close: () => Promise.resolve() };
    }
    const close = this.#pubsub.subscribe(options);
    return {
      ready: Promise.resolve(),
      close: () => {
        close();
        return Promise.resolve();
      },
    };
  }

  track(options: TrackOptions): Tracking {
    return this.#tracking.track(options);
  }

  isolate(): void {
    this.#isolated = true;
  }

  restore(): void {
    this.#isolated = false;
  }

  status(): ClientStatus {
    const breaker = this.#isolated ? 'isolated' : 'off';
    const since = this.#since;
    const node = {
      node: NODE,
      state: this.#closed ? 'closed' : 'ready',
      role: 'primary',
      latencyMs: this.#closed ? null : 0,
      breaker: { reads: breaker, writes: breaker },
      inFlight: 0,
      reason: this.#closed ? 'closed by disconnect()' : null,
      since,
    } as const;
    return {
      name: this.name,
      topology: 'embedded',
      health: this.#closed || this.#isolated ? 'down' : 'up',
      nodes: [node],
      since,
    };
  }

  on<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set<Listener>();
    this.#listeners.set(event, listeners);
    // A wrapper of its own, so that the same function may listen twice and leave once.
    const own = ((detail: ClientEvents[E]) => listener(detail)) as Listener;
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  /** Runs `work` now and hands its outcome to a promise. */
  #answer<T>(options: CallOptions | undefined, work: () => T): Promise<T> {
    try {
      this.#assertWanted(options);
      return Promise.resolve(work());
    } catch (error) {
      return Promise.reject<T>(error);
    }
  }

  #execute({ name, args }: PipelineCommand, options: CallOptions | undefined): Reply {
    assertShareable(name.toUpperCase(), args);
    const reply = this.#read(name, args, options);
    return options?.reply === 'bytes' ? toBytesReply(reply) : toTextReply(reply);
  }

  /** As on the other clients: a closed one answers nothing, and bad options are refused before anything is done. */
  #assertWanted(options: CallOptions | undefined): void {
    if (this.#closed) throw closedError(this.name);
    if (this.#isolated) throw isolatedError(this.name);
    if (options?.signal?.aborted === true) throw abortReason(options.signal);
    if (options?.timeout !== undefined) parsePositiveDuration(options.timeout, 'timeout');
  }

  #read(name: string, args: readonly Arg[], options: CallOptions | undefined): EngineReply {
    try {
      return this.#engine.execute(name, args);
    } catch (error) {
      const otherType = error instanceof RedisReplyError && error.kind === 'WRONGTYPE';
      if (otherType && options?.anyType === true && name.toUpperCase() === 'GET') return null;
      throw error;
    }
  }

  #outcome(command: PipelineCommand, options: CallOptions | undefined): PipelineResult {
    try {
      this.#assertWanted(options);
      return { ok: true, value: this.#execute(command, options) };
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  #emit<E extends keyof ClientEvents>(event: E, detail: ClientEvents[E]): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        listener(detail);
      } catch {
        // A listener's fault is its own.
      }
    }
  }
}

function isolatedError(name: string): CircuitOpenError {
  const reason = 'isolated by hand';
  return new CircuitOpenError({
    what: `the embedded client '${name}'`,
    state: 'isolated',
    reason,
    retryInMs: undefined,
  });
}

function closedError(name: string): ConnectionClosedError {
  return new ConnectionClosedError(`the embedded client '${name}' is closed`, {
    hint: 'make a new one; a closed client is not opened again',
  });
}

/** Over the wire every string of a script's answer is bytes. */
function asFromLua(reply: Reply): Reply {
  if (typeof reply === 'string') return Buffer.from(reply);
  return Array.isArray(reply) ? reply.map(asFromLua) : reply;
}
