/**
 * The client of one shard as its cache sees it. A reply that came from another connection than the one that stood
 * when it was asked for may come from a server that was started again with an older past, so it does not count.
 */
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
  Script,
  SubscribeOptions,
  Subscription,
  Topology,
  TrackOptions,
  Tracking,
} from '../../connection/index.js';
import { ShardUnavailableError } from './sharded.errors.js';

/** How often the connection was lost. */
export interface Interruptions {
  readonly count: number;
}

export class ShardClient implements RedisClient {
  readonly name: string;
  readonly topology: Topology;
  readonly #inner: RedisClient;
  readonly #interruptions: Interruptions;

  constructor(inner: RedisClient, interruptions: Interruptions) {
    this.name = inner.name;
    this.topology = inner.topology;
    this.#inner = inner;
    this.#interruptions = interruptions;
  }

  connect(options?: Parameters<RedisClient['connect']>[0]): Promise<void> {
    return this.#inner.connect(options);
  }

  /** It belongs to the fleet. */
  disconnect(): Promise<void> {
    return Promise.resolve();
  }

  command<R extends Reply = Reply>(name: string, args: readonly Arg[], options?: CallOptions): Promise<R> {
    const { count } = this.#interruptions;
    return this.#inner.command<R>(name, args, options).then((reply) => {
      if (this.#interruptions.count !== count) throw interrupted();
      return reply;
    });
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

function interrupted(): ShardUnavailableError {
  return new ShardUnavailableError('the connection to the shard was made anew meanwhile');
}
