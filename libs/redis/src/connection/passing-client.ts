/** A client that hands everything on: for those that stand before another one and change some of it. */
import type { Duration } from '../core/index.js';
import type {
  CallOptions,
  ClientEvents,
  ClientStatus,
  PipelineCommand,
  PipelineResult,
  RedisClient,
  ScanOptions,
  SubscribeOptions,
  Subscription,
  Topology,
  TrackOptions,
  Tracking,
} from './redis-client.js';
import type { Arg, Reply } from './reply.js';
import type { Script } from './script.js';

export class PassingClient implements RedisClient {
  readonly name: string;
  readonly topology: Topology;
  readonly #inner: RedisClient;

  constructor(inner: RedisClient) {
    this.name = inner.name;
    this.topology = inner.topology;
    this.#inner = inner;
  }

  connect(options?: { timeout?: Duration }): Promise<void> {
    return this.#inner.connect(options);
  }

  disconnect(options?: { drain?: Duration }): Promise<void> {
    return this.#inner.disconnect(options);
  }

  command<R extends Reply = Reply>(name: string, args: readonly Arg[], options?: CallOptions): Promise<R> {
    return this.#inner.command<R>(name, args, options);
  }

  pipeline(commands: readonly PipelineCommand[], options?: CallOptions): Promise<readonly PipelineResult[]> {
    return this.#inner.pipeline(commands, options);
  }

  run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options?: CallOptions,
  ): Promise<Result> {
    return this.#inner.run(script, keys, args, options);
  }

  scan(options?: ScanOptions): AsyncIterable<readonly string[]> {
    return this.#inner.scan(options);
  }

  subscribe(options: SubscribeOptions): Subscription {
    return this.#inner.subscribe(options);
  }

  track(options: TrackOptions): Tracking {
    return this.#inner.track(options);
  }

  status(): ClientStatus {
    return this.#inner.status();
  }

  isolate(node?: string): void {
    this.#inner.isolate(node);
  }

  restore(node?: string): void {
    this.#inner.restore(node);
  }

  on<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): () => void {
    return this.#inner.on(event, listener);
  }
}
