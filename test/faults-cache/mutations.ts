/** The cache with a fence left out: ours over a port that lies. */
import {
  CacheKeys,
  fillScript,
  putScript,
  removeScript,
  type CacheEntry,
  type Store,
  type TierBase,
  type Tiers,
} from '@anbar/nestjs-redis/cache';
import type { RedisClient, Reply, TrackOptions } from '@anbar/nestjs-redis/connection';
import type { Mutation } from './orders.js';

interface StoreArgs {
  readonly bytes: Buffer;
  readonly ttlMs: number;
  readonly channel: string;
}

type MakeTiers = (base: TierBase) => Tiers;

/** Longer than the near cache may lag. */
const LATE_MS = 150;

export function mutatedClient(client: RedisClient, mutation: Mutation): RedisClient {
  const lies = liesOf(mutation);
  return new Proxy(client, {
    get(target, property) {
      const lie = lies[property as keyof Lies];
      if (lie !== undefined) return lie(target);
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Those that lie between cache and Redis, under the near cache if there is one. */
export function mutatedTiers(
  client: RedisClient,
  mutation: Mutation,
  near: MakeTiers | undefined,
): MakeTiers | undefined {
  if (mutation !== 'clock-after-load') return near;
  return (base) => {
    const mutated = { ...base, store: stampedLate(base.store, client, base.keys) };
    return near?.(mutated) ?? mutated;
  };
}

interface Lies {
  readonly run?: (client: RedisClient) => RedisClient['run'];
  readonly command?: (client: RedisClient) => RedisClient['command'];
  readonly track?: (client: RedisClient) => RedisClient['track'];
}

function liesOf(mutation: Mutation): Lies {
  switch (mutation) {
    case 'fill-without-lease':
      return { run: fillWithoutLease };
    case 'delete-keeps-lease':
      return { run: (client) => leaseKept(client, removeScript.name) };
    case 'set-keeps-lease':
      return { run: (client) => leaseKept(client, putScript.name) };
    case 'tags-unread':
      return { command: tagsUnread };
    case 'clock-after-load':
      return {};
    case 'epoch-ignored':
      return epochIgnored();
    case 'announcements-late':
      return { track: announcedLate };
    case 'interruptions-unheard':
      return { track: uninterrupted };
  }
}

/** Stores what was loaded whoever has invalidated it meanwhile, as caches usually do. */
function fillWithoutLease(client: RedisClient): RedisClient['run'] {
  return async (script, keys, args, options) => {
    if (script.name !== fillScript.name) return client.run(script, keys, args, options);
    const [value = '', lease = ''] = keys;
    await client.run(putScript, [value, lease], args as StoreArgs, options);
    return script.decode(1);
  };
}

/** Changes the value, and lets whoever is loading it store theirs over it. */
function leaseKept(client: RedisClient, name: string): RedisClient['run'] {
  return (script, keys, args, options) => {
    if (script.name !== name) return client.run(script, keys, args, options);
    const [value = ''] = keys;
    // A lease that nobody has.
    const others = [value, `${value}:none`] as readonly string[] as typeof keys;
    return client.run(script, others, args, options);
  };
}

/** Stamps an entry with the clock of the moment in which it is stored: all that was loaded before looks new. */
function stampedLate(store: Store, client: RedisClient, keys: CacheKeys): Store {
  return new Proxy(store, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== 'function') return value;
      if (property !== 'fill') return value.bind(target) as unknown;
      return async (key: string, entry: CacheEntry, token: string) => {
        const clock = Number(await client.command<string | null>('GET', [keys.clock], { anyType: true }));
        return target.fill(key, { ...entry, clock }, token);
      };
    },
  });
}

/** Takes every tag for one that was never invalidated. */
function tagsUnread(client: RedisClient): RedisClient['command'] {
  return <R extends Reply>(...call: Parameters<RedisClient['command']>): Promise<R> => {
    const [name, [key]] = call;
    if (name === 'GET' && String(key).includes(':tag:')) return Promise.resolve('0' as R);
    return client.command<R>(...call);
  };
}

/** An announcement says nothing about values that are still on their way: they are kept when they arrive. */
function epochIgnored(): Lies {
  const reading = new Map<string, number>();
  const count = (key: string, by: number): void => {
    const now = (reading.get(key) ?? 0) + by;
    if (now === 0) reading.delete(key);
    else reading.set(key, now);
  };
  return {
    command:
      (client) =>
      async <R extends Reply>(...call: Parameters<RedisClient['command']>): Promise<R> => {
        const [name, [first]] = call;
        const key = String(first);
        if (name !== 'GET' || !key.includes(':cache:')) return client.command<R>(...call);
        count(key, 1);
        try {
          return await client.command<R>(...call);
        } finally {
          count(key, -1);
        }
      },
    track: (client) => (options: TrackOptions) =>
      client.track({
        ...options,
        onInvalidate: (keys) =>
          options.onInvalidate(keys === 'all' ? keys : keys.filter((key) => !reading.has(key))),
      }),
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
