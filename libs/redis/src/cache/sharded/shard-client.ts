/**
 * The client of one shard as its cache sees it. A reply that came from another connection than the one that stood
 * when it was asked for may come from a server that was started again with an older past, so it does not count.
 */
import {
  PassingClient,
  type Arg,
  type CallOptions,
  type RedisClient,
  type Reply,
} from '../../connection/index.js';
import { ShardUnavailableError } from './sharded.errors.js';

/** How often the connection was lost. */
export interface Interruptions {
  readonly count: number;
}

export class ShardClient extends PassingClient {
  readonly #inner: RedisClient;
  readonly #interruptions: Interruptions;

  constructor(inner: RedisClient, interruptions: Interruptions) {
    super(inner);
    this.#inner = inner;
    this.#interruptions = interruptions;
  }

  /** It belongs to the fleet. */
  override disconnect(): Promise<void> {
    return Promise.resolve();
  }

  override command<R extends Reply = Reply>(
    name: string,
    args: readonly Arg[],
    options?: CallOptions,
  ): Promise<R> {
    const { count } = this.#interruptions;
    return this.#inner.command<R>(name, args, options).then((reply) => {
      if (this.#interruptions.count !== count) throw interrupted();
      return reply;
    });
  }
}

function interrupted(): ShardUnavailableError {
  return new ShardUnavailableError('the connection to the shard was made anew meanwhile');
}
