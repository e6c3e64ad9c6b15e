/**
 * Caches with a near cache each, made to wait for one hop after every change. A key that all of them hold is changed
 * after the change in question: announcements keep their order, so whoever has seen the second has seen the first.
 */
import type { CacheContract, CacheOutcome, NearCache } from '@anbar/nestjs-redis/cache';
import type { RedisClient } from '@anbar/nestjs-redis/connection';
import { until } from '../topology/index.js';

const CHANGES: readonly PropertyKey[] = [
  'set',
  'setMany',
  'delete',
  'deleteMany',
  'getOrSet',
  'getOrSetMany',
  'invalidateTags',
  'deletePrefix',
  'flush',
  'expire',
];
const MARKER = 'marker';

interface Peer {
  readonly marker: CacheContract;
  readonly near: NearCache;
}

export class OneHop {
  readonly #peers = new Map<CacheContract, Peer>();
  /** The same cache is the same, slower or not. */
  readonly #slow = new WeakMap<CacheContract, CacheContract>();
  #hops = 0;
  #queued: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();

  /** The same cache, whose changes settle one hop later. */
  async join(cache: CacheContract, near: NearCache): Promise<CacheContract> {
    const peer = { marker: cache.namespace('hops', { ttl: '1h' }), near };
    await warm(peer);
    const slower = this.#slower(cache);
    this.#peers.set(slower, peer);
    return slower;
  }

  /** What others do to the store is seen one hop later too. */
  from(client: RedisClient): RedisClient {
    const command: RedisClient['command'] = async (...call) => {
      const reply = await client.command(...call);
      await this.#wait();
      return reply as never;
    };
    return new Proxy(client, {
      get: (target, name) => (name === 'command' ? command : boundTo(target, name)),
    });
  }

  async leave(cache: CacheContract): Promise<void> {
    const peer = this.#peers.get(cache);
    this.#peers.delete(cache);
    await this.#running;
    await peer?.near.close();
  }

  #slower(cache: CacheContract): CacheContract {
    const known = this.#slow.get(cache) ?? this.#slowDown(cache);
    this.#slow.set(cache, known);
    return known;
  }

  #slowDown(cache: CacheContract): CacheContract {
    return new Proxy(cache, {
      get: (target, name) => {
        const method = boundTo(target, name);
        if (typeof method !== 'function') return method;
        if (name === 'namespace') {
          return (...args: unknown[]): CacheContract =>
            this.#slower(Reflect.apply(method, target, args) as CacheContract);
        }
        if (!CHANGES.includes(name)) return method;
        return async (...args: unknown[]): Promise<unknown> => {
          const result: unknown = await Reflect.apply(method, target, args);
          await this.#wait();
          return result;
        };
      },
    });
  }

  /** Changes that were made before a hop began may share it. */
  #wait(): Promise<void> {
    this.#queued ??= this.#running.then(() => {
      this.#queued = undefined;
      this.#running = this.#hop();
      return this.#running;
    });
    return this.#queued;
  }

  async #hop(): Promise<void> {
    const peers = [...this.#peers.values()];
    const [first] = peers;
    if (first === undefined) return;
    const hop = (this.#hops += 1);
    await first.marker.set(MARKER, hop);
    const seen = ({ marker }: Peer) =>
      until(async () => (await marker.get(MARKER)) === hop, { what: 'the marker', every: 1 });
    await Promise.all(peers.map(seen));
    await Promise.all(peers.map(warm));
  }
}

/** Only a marker that is held proves anything when it goes. */
async function warm({ marker }: Peer): Promise<void> {
  await until(
    async () => {
      let outcome: CacheOutcome = 'miss';
      await marker.get(MARKER, { onOutcome: (each) => void (outcome = each) });
      if (outcome === ('miss' as CacheOutcome)) await marker.set(MARKER, 0);
      return outcome === ('l1' as CacheOutcome);
    },
    { what: 'the marker in L1', every: 1 },
  );
}

function boundTo(target: object, name: PropertyKey): unknown {
  const value: unknown = Reflect.get(target, name, target);
  return typeof value === 'function' ? (value.bind(target) as unknown) : value;
}
