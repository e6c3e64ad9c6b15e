/** The cache with a fence left out. */
import { putScript } from '@anbar/nestjs-redis/cache';
import type { RedisClient, Reply, TrackOptions } from '@anbar/nestjs-redis/connection';
import type { Mutation } from './orders.js';

interface FillArgs {
  readonly bytes: Buffer;
  readonly ttlMs: number;
  readonly channel: string;
}

/** Longer than the near cache may lag. */
const LATE_MS = 80;

export function mutated(client: RedisClient, mutation: Mutation): RedisClient {
  return new Proxy(client, {
    get(target, property) {
      if (property === 'run' && mutation === 'fill-without-lease') return fillWithoutLease(target);
      if (property === 'command' && mutation === 'tags-unread') return tagsUnread(target);
      if (property === 'track' && mutation === 'announcements-late') return announcedLate(target);
      if (property === 'track' && mutation === 'interruptions-unheard') return uninterrupted(target);
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Stores what was loaded whoever has invalidated it meanwhile, as caches usually do. */
function fillWithoutLease(client: RedisClient): RedisClient['run'] {
  return async (script, keys, args, options) => {
    if (script.name !== 'cache.fill') return client.run(script, keys, args, options);
    const [value = '', lease = ''] = keys;
    await client.run(putScript, [value, lease], args as FillArgs, options);
    return script.decode(1);
  };
}

/** Takes every tag for one that was never invalidated. */
function tagsUnread(client: RedisClient): RedisClient['command'] {
  return <R extends Reply>(...call: Parameters<RedisClient['command']>): Promise<R> => {
    const [name, [key]] = call;
    if (name === 'GET' && String(key).includes(':tag:')) return Promise.resolve('0' as R);
    return client.command<R>(...call);
  };
}

/** Hears of changes when they are no longer news. */
function announcedLate(client: RedisClient): RedisClient['track'] {
  return (options: TrackOptions) =>
    client.track({
      ...options,
      onInvalidate: (keys) => {
        setTimeout(() => options.onInvalidate(keys), LATE_MS);
      },
    });
}

/** Goes on serving from memory when it can no longer hear of changes, and after that. */
function uninterrupted(client: RedisClient): RedisClient['track'] {
  return (options: TrackOptions) => {
    let begun = false;
    return client.track({
      ...options,
      onState: (state, reason) => {
        if (!begun) options.onState(state, reason);
        begun ||= state === 'tracking';
      },
    });
  };
}
