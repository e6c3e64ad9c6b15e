/** Ours as the subject of a hunt, whole or with a fence left out. */
import { createRedis, type Duration, type Redis } from '@anbar/nestjs-redis';
import { CacheService, NearCache, resolveL1, type LoadContext } from '@anbar/nestjs-redis/cache';
import { mutatedClient, mutatedTiers } from './mutations.js';
import type { Figures, Mutation, OpenOrder } from './orders.js';
import { tagsOf, type Answer, type Book, type Load, type Subject } from './subject.js';

export async function openOurs(order: OpenOrder): Promise<Subject> {
  const options = { ...order.options, namespace: 'hunt', timeout: '5s', connectTimeout: '10s' } as const;
  const redis = createRedis(options, {});
  await redis.connect();
  const cache = order.mutation === undefined ? redis.cache : mutatedCache(redis, order.mutation);
  return new Ours(cache.namespace(order.cacheName, { lease: order.lease as Duration }), redis);
}

/** Put together as `createRedis` does it, over parts that lie. */
function mutatedCache({ adapter, config }: Redis, mutation: Mutation): CacheService {
  const client = mutatedClient(adapter.port, mutation);
  const l1 = resolveL1(config.l1);
  const near = l1 === false ? undefined : new NearCache({ client, l1 });
  const tiers = mutatedTiers(client, mutation, near?.tiers);
  return new CacheService({ client, namespace: config.namespace, tiers });
}

const path = (key: number): readonly [string, number] => ['book', key];

class Ours implements Subject {
  readonly #cache: CacheService;
  readonly #redis: Redis;

  constructor(cache: CacheService, redis: Redis) {
    this.#cache = cache;
    this.#redis = redis;
  }

  get(key: number): Promise<Answer> {
    return this.#cache.get<Book>(path(key));
  }

  getMany(keys: readonly number[]): Promise<readonly Answer[]> {
    return this.#cache.getMany<Book>(keys.map(path));
  }

  getOrSet(key: number, { mode, run }: Load): Promise<Answer> {
    const tags = tagsOf(key);
    const loader = async (context: LoadContext): Promise<Book> => {
      const book = await run(key);
      if (mode === 'late-tags') context.setTags(tags);
      if (mode === 'not-stored') context.skip();
      return book;
    };
    const load = (options: object): Promise<Answer> =>
      this.#cache.getOrSet<Book>(path(key), loader, { tags, ...options });
    switch (mode) {
      case 'plain':
      case 'failing':
      case 'not-stored':
        return load({});
      case 'late-tags':
        return load({ tags: [] });
      case 'stale':
        return load({ ttl: '20ms', stale: '10s' });
      case 'given-up':
        return load({ signal: AbortSignal.timeout(4) });
    }
  }

  getOrSetMany(keys: readonly number[], { run }: Load): Promise<readonly Answer[]> {
    return this.#cache.getOrSetMany<Book>(keys.map(path), (missing) =>
      Promise.all(missing.map((name) => run(Number(name[1])))),
    );
  }

  set(key: number, book: Book): Promise<unknown> {
    return this.#cache.set(path(key), book, { tags: tagsOf(key) });
  }

  remove(keys: readonly number[]): Promise<unknown> {
    const [first, ...others] = keys;
    if (first !== undefined && others.length === 0) return this.#cache.delete(path(first));
    return this.#cache.deleteMany(keys.map(path));
  }

  invalidateTagged(key?: number): Promise<unknown> {
    return this.#cache.invalidateTags(key === undefined ? ['shelf', 'another'] : `book:${key}`);
  }

  removeBelow(key?: number): Promise<unknown> {
    return this.#cache.deletePrefix(key === undefined ? ['book'] : path(key));
  }

  flush(): Promise<unknown> {
    return this.#cache.flush();
  }

  expire(key: number): Promise<unknown> {
    return this.#cache.expire(path(key), '10m');
  }

  load(key: string, loader: () => Promise<string>): Promise<string> {
    return this.#cache.getOrSet(key, loader);
  }

  figures(): Figures {
    const { l1Hits, loads, refusedFills, failures } = this.#cache.stats();
    return { l1Hits, loads, refusedFills, failures };
  }

  close(): Promise<void> {
    return this.#redis.disconnect();
  }
}
