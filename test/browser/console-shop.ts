/** An application with something on every screen of the console: traffic, hostile names, shards, limits, tasks. */
import 'reflect-metadata';
import { Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import {
  CacheService,
  FallbackCache,
  LockService,
  PubSub,
  RateLimiter,
  RedisConsoleModule,
  RedisModule,
  ShardedCache,
  type RedisConsoleModuleOptions,
} from '@anbar/nestjs-redis';
import { SessionService } from '@anbar/nestjs-redis/session';
import { TASK_QUEUE, type TaskQueue } from '@anbar/nestjs-redis/tasks';

/** Each would run where it is taken for markup. */
export const HOSTILE = {
  cache: '<img src=x onerror=alert(1)>',
  key: '<script>alert(2)</script>',
  tag: '"><svg onload=alert(3)>',
  task: '<a href=javascript:alert(5)>task</a>',
  value: '</pre><img src=x onerror=alert(6)>',
  title: 'Bookshop <b onmouseover=alert(7)>',
} as const;

export interface Shop {
  readonly app: INestApplication;
  readonly url: string;
  close(): Promise<void>;
}

export async function openShop(
  urls: { redis: string; shards: readonly string[] },
  options: RedisConsoleModuleOptions = {},
): Promise<Shop> {
  const shards = Object.fromEntries(
    urls.shards.map((url, i) => [
      ['amber', 'birch', 'cedar'][i] ?? `shard-${i}`,
      { url, weight: i === 0 ? 2 : 1 },
    ]),
  );
  const redis = RedisModule.forRoot({
    url: urls.redis,
    namespace: 'bookshop',
    shards,
    cache: { ttl: '10s', stale: '20s' },
    caches: { books: { ttl: '30s' }, covers: { ttl: '4s' }, answers: { ttl: '1h' } },
    rateLimit: { replicas: 2 },
  });
  class ShopModule {
    readonly name = 'shop';
  }
  Module({
    imports: [redis, RedisConsoleModule.forRoot({ browseKeys: true, showValues: true, ...options })],
  })(ShopModule);
  const app = await NestFactory.create(ShopModule, new ExpressAdapter(), { logger: ['error'] });
  app.enableShutdownHooks([]);
  await app.listen(0, '127.0.0.1');
  const { port } = new URL(await app.getUrl());
  const stop = trade(app);
  let closing: Promise<void> | undefined;
  return {
    app,
    url: `http://127.0.0.1:${port}`,
    close() {
      stop();
      closing ??= app.close();
      return closing;
    },
  };
}

/** Work that comes and goes in waves, so that charts have a shape. */
function trade(app: INestApplication): () => void {
  const cache = app.get(CacheService);
  const fallback = app.get(FallbackCache);
  const sharded: ShardedCache = app.get(ShardedCache);
  const limiter = app.get(RateLimiter);
  const tasks: TaskQueue = app.get(TASK_QUEUE);
  const locks = app.get(LockService);
  const pubsub = app.get(PubSub);
  const sessions = app.get(SessionService);
  const caches = ['books', 'covers', 'answers', HOSTILE.cache].map((name) => cache.namespace(name));
  tasks
    .work(
      new Map([
        [HOSTILE.task, () => 'done'],
        ['invoice', () => 'sent'],
      ]),
    )
    .ready.catch(() => undefined);
  let turn = 0;
  const load = async (): Promise<{ title: string; note: string }> => {
    await new Promise((resolve) => setTimeout(resolve, 2 + Math.random() * 10));
    return { title: `book ${turn}`, note: HOSTILE.value };
  };
  const round = async (): Promise<void> => {
    turn += 1;
    const wave = 1 + Math.sin(turn / 150) + Math.random();
    const calls = Array.from({ length: Math.ceil(wave * 6) }, (_, i) => {
      const which = caches[i % caches.length] ?? cache;
      const id = Math.floor(Math.random() ** 2 * (i % caches.length === 1 ? 900 : 120));
      return which.getOrSet(['book', id], load, { tags: [`shelf:${id % 7}`] });
    });
    await Promise.allSettled([
      ...calls,
      fallback.getOrSet(['page', turn % 9], load),
      sharded.getOrSet(['user', turn % 400], load),
      limiter.consume(HOSTILE.key, { name: 'upload', limit: 40, window: '10s' }),
      limiter.consume(`client-${turn % 5}`, { name: 'search', limit: 100, window: '1m' }),
    ]);
    if (turn % 40 === 0) {
      await Promise.allSettled([
        cache.namespace('books').set(HOSTILE.key, HOSTILE.value, { tags: [HOSTILE.tag], ttl: '5m' }),
        tasks.add(turn % 80 === 0 ? HOSTILE.task : 'invoice', { turn }),
        locks.run(['stock', turn % 3], {}, () => Promise.resolve()),
        pubsub.publish<string>('price.changed', { turn }),
        sessions.create({ data: { turn } }),
      ]);
    }
  };
  let open = true;
  const again = (): void => {
    if (!open) return;
    void round().finally(() => setTimeout(again, 40));
  };
  again();
  return () => {
    open = false;
  };
}
