/** A client that reaches nobody: a cache on it loads, with its cap and its single flight, and stores nothing. */
import type { ClientStatus, RedisClient, Subscription, Tracking } from '../../connection/index.js';
import { ShardUnavailableError } from './sharded.errors.js';

export function createNowhere(why: ShardUnavailableError = isAway()): RedisClient {
  // Every read of a shard that is away comes here: one refusal for all, as an error with its stack costs more than
  // the rest of the read, and those who read other shards would wait for it.
  const refusal = Promise.reject(why);
  refusal.catch(() => undefined);
  const away = (): Promise<never> => refusal;
  const nothing = (): Promise<void> => Promise.resolve();
  const subscription: Subscription = { ready: Promise.resolve(), close: nothing };
  const tracking: Tracking = { state: 'lost', reason: 'the shard is away', close: nothing };
  const status: ClientStatus = {
    name: 'nowhere',
    topology: 'standalone',
    health: 'down',
    nodes: [],
    since: 0,
  };
  return {
    name: 'nowhere',
    topology: 'standalone',
    connect: nothing,
    disconnect: nothing,
    command: away,
    pipeline: away,
    run: away,
    async *scan() {
      yield await away();
    },
    subscribe: () => subscription,
    track: () => tracking,
    status: () => status,
    isolate: () => undefined,
    restore: () => undefined,
    on: () => () => undefined,
  };
}

function isAway(): ShardUnavailableError {
  return new ShardUnavailableError('the shard is away', {
    hint: 'it is taken in again as soon as it answers',
  });
}
