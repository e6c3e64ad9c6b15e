/** `RedisTestingModule` and `overrideRedis`: time and faults reach all that stands on Redis, and nothing stays open. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Controller, Get, Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  Cacheable,
  CacheService,
  FallbackCache,
  InjectRedis,
  LockService,
  RateLimit,
  RateLimiter,
  RedisAdapter,
  RedisConfig,
  RedisModule,
  ShardedCache,
} from '@anbar/nestjs-redis';
import { CLOCK, type Clock } from '@anbar/nestjs-redis/core';
import { SessionService } from '@anbar/nestjs-redis/session';
import { Task, type RunningTask } from '@anbar/nestjs-redis/tasks';
import { RedisTestingModule, TestRedis, type Fault } from '@anbar/nestjs-redis/testing';
import { boot } from './boot.js';
import { NOWHERE, overridden, startTested } from './redis-testing-stage.js';

describe('time', () => {
  it('stands still until it is told to pass', async () => {
    const { app, redis } = await startTested();
    const clock = app.get<Clock>(CLOCK);
    const before = clock.wallNow();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(clock.wallNow()).toBe(before);
    await redis.clock.advance('5m');
    expect(clock.wallNow()).toBe(before + 300_000);
    await redis.clock.advance(1);
    expect(clock.wallNow()).toBe(before + 301_000);
  });

  it('begins where it is told to', async () => {
    const startsAt = Date.UTC(2030, 0, 1);
    const { app } = await boot({ imports: [RedisTestingModule.forRoot({}, { startsAt })] });
    expect(app.get<Clock>(CLOCK).wallNow()).toBe(startsAt);
  });

  it('ends entries of the cache and keys of the adapter, to the millisecond', async () => {
    const { app, redis } = await startTested();
    const [cache, adapter] = [app.get(CacheService), app.get(RedisAdapter)];
    await cache.set('book', 'Anna Karenina', '5m');
    await adapter.set('greeting', 'hello', '5m');
    await redis.clock.advance('299999ms');
    expect(await cache.get('book')).toBe('Anna Karenina');
    expect(await adapter.get('greeting')).toBe('hello');
    await redis.clock.advance('1ms');
    expect(await cache.get('book')).toBeUndefined();
    // In Redis a key is still there in its last millisecond.
    await redis.clock.advance('1ms');
    expect(await adapter.get('greeting')).toBeUndefined();
  });

  it('ends what a decorated method has cached', async () => {
    @Injectable()
    class Books {
      loads = 0;

      @Cacheable({ key: () => 'books', ttl: '1m' })
      async all(): Promise<number> {
        this.loads += 1;
        return Promise.resolve(this.loads);
      }
    }
    const { app, redis } = await startTested({}, [Books]);
    const books = app.get(Books);
    expect([await books.all(), await books.all()]).toEqual([1, 1]);
    await redis.clock.advance('2m');
    expect(await books.all()).toBe(2);
  });

  it('refills limits', async () => {
    const { app, redis } = await startTested();
    const limiter = app.get(RateLimiter);
    const rule = { limit: 2, window: '1m', algorithm: 'fixed-window' } as const;
    const ask = async (): Promise<boolean> => (await limiter.consume('ada', rule)).allowed;
    expect([await ask(), await ask(), await ask()]).toEqual([true, true, false]);
    await redis.clock.advance('59s');
    expect(await ask()).toBe(false);
    await redis.clock.advance('1s');
    expect(await ask()).toBe(true);
  });

  it('lets a lock be renewed while its holder is well, and run out when Redis is gone', async () => {
    const { app, redis } = await startTested();
    const locks = app.get(LockService);
    const lock = await locks.acquire('report', { ttl: '10s' });
    await redis.clock.advance('1m');
    expect(lock.signal.aborted).toBe(false);
    redis.partition();
    await redis.clock.advance('10s');
    expect(lock.signal.aborted).toBe(true);
    redis.heal();
    await expect(lock.release()).resolves.toBe(false);
  });

  it('ends sessions that are idle', async () => {
    const { app, redis } = await startTested({ session: { idle: '1h' } });
    const sessions = app.get<SessionService>(SessionService);
    await redis.clock.advance('3h');
    const { id, createdAt } = await sessions.create({ user: 'ada' });
    expect(createdAt).toBe(redis.clock.wallNow());
    await redis.clock.advance('30m');
    expect((await sessions.load(id))?.user).toBe('ada');
    await redis.clock.advance('61m');
    expect(await sessions.load(id)).toBeUndefined();
  });

  it('makes tasks fall due', async () => {
    @Injectable()
    class Billing {
      readonly done: unknown[] = [];

      @Task('testing-invoice')
      write({ data }: RunningTask): void {
        this.done.push(data);
      }
    }
    const { app, redis, tasks } = await startTested({}, [Billing]);
    const billing = app.get(Billing);
    await tasks.add('testing-invoice', { order: 1 }, { delay: '1h' });
    await redis.clock.advance('59m');
    expect(billing.done).toEqual([]);
    await redis.clock.advance('1m');
    expect(billing.done).toEqual([{ order: 1 }]);
  });

  it('is that of routes too: their limits, and the age of their answers', async () => {
    @Controller()
    class Shop {
      @Get('limited')
      @RateLimit({ limit: 1, window: '1m' })
      limited(): string {
        return 'ok';
      }

      @Get('cached')
      @Cacheable({ ttl: '1m' })
      cached(): string {
        return 'kept';
      }
    }
    @Module({ imports: [RedisTestingModule.forRoot()], controllers: [Shop] })
    class Shops {}
    const app = await NestFactory.create(Shops, { logger: false });
    onTestFinished(() => app.close());
    await app.listen(0, '127.0.0.1');
    const base = await app.getUrl();
    const redis = app.get(TestRedis);
    const statuses = async () => (await fetch(`${base}/limited`)).status;
    expect([await statuses(), await statuses()]).toEqual([200, 429]);
    await fetch(`${base}/cached`);
    await redis.clock.advance('30s');
    const kept = await fetch(`${base}/cached`);
    expect(kept.headers.get('age')).toBe('30');
    await redis.clock.advance('30s');
    expect(await statuses()).toBe(200);
    expect((await fetch(`${base}/cached`)).headers.get('age')).toBeNull();
  });
});

describe('faults', () => {
  it.each<[Fault, object]>([
    ['timeout', { code: 'COMMAND_TIMEOUT', executed: 'no' }],
    ['connection', { code: 'NOT_CONNECTED', executed: 'no' }],
    ['unknown-outcome', { code: 'OUTCOME_UNKNOWN', executed: 'unknown' }],
    ['backpressure', { code: 'BACKPRESSURE' }],
    ['oom', { code: 'REDIS_REPLY', kind: 'OOM' }],
    ['readonly', { code: 'REDIS_REPLY', kind: 'READONLY' }],
    ['loading', { code: 'REDIS_REPLY', kind: 'LOADING' }],
    ['forbidden', { code: 'REDIS_REPLY', kind: 'NOPERM' }],
  ])("fail('%s') is what the client would throw", async (fault, expected) => {
    const { app, redis } = await startTested();
    const adapter = app.get(RedisAdapter);
    redis.fail(fault);
    await expect(adapter.set('k', 1)).rejects.toMatchObject(expected);
    redis.heal();
    expect(await adapter.get('k')).toBeUndefined();
  });

  it('fail takes an error of the test, and a share; a name nobody knows is refused', async () => {
    const { app, redis } = await startTested();
    const adapter = app.get(RedisAdapter);
    redis.fail(new Error('storm'), { share: 0 });
    await expect(adapter.set('k', 1)).resolves.toBe(true);
    redis.fail(new Error('storm'));
    await expect(adapter.get('k')).rejects.toThrow('storm');
    expect(() => redis.fail('nonsense' as Fault)).toThrow("'nonsense' is none of timeout, connection");
  });

  it('latency takes the time of the module, and nobody has to wait for it', async () => {
    const { app, redis } = await startTested();
    const adapter = app.get(RedisAdapter);
    const from = redis.clock.now();
    redis.latency('50ms');
    await Promise.all([adapter.set('a', 1), adapter.set('b', 2)]);
    expect(redis.clock.now() - from).toBe(50);
    await adapter.get('a');
    expect(redis.clock.now() - from).toBe(100);
    redis.latency('10s');
    await expect(adapter.get('a')).rejects.toMatchObject({ code: 'COMMAND_TIMEOUT' });
    expect(redis.clock.now() - from).toBe(350);
  });

  it('a partition costs each call its deadline, and the cache goes to its loader', async () => {
    const { app, redis } = await startTested({ timeout: '100ms', cache: { l1: false } });
    const [adapter, cache] = [app.get(RedisAdapter), app.get(CacheService)];
    await cache.set('k', 'stored');
    const from = redis.clock.now();
    redis.partition();
    await expect(adapter.get('k')).rejects.toMatchObject({ code: 'COMMAND_TIMEOUT' });
    expect(redis.clock.now() - from).toBe(100);
    expect(await cache.getOrSet('k', () => 'loaded')).toBe('loaded');
    await expect(cache.delete('k')).rejects.toMatchObject({ code: 'COMMAND_TIMEOUT' });
    redis.heal();
    expect(await cache.get('k')).toBe('stored');
  });

  it('the fallback takes over, and tells Redis what was changed meanwhile', async () => {
    const { app, redis } = await startTested({ cache: { l1: false } });
    const fallback = app.get(FallbackCache);
    await fallback.set('kept', 'before');
    expect(await fallback.get('kept')).toBe('before');
    redis.fail('connection');
    await fallback.delete('kept');
    expect(await fallback.get('kept')).toBeUndefined();
    expect(fallback.state.mode).toBe('fallback');
    redis.heal();
    for (let i = 0; i < 50 && fallback.state.mode !== 'redis'; i += 1) {
      await fallback.get('kept');
      await redis.clock.advance('1s');
    }
    expect(fallback.state.mode).toBe('redis');
    expect(await fallback.get('kept')).toBeUndefined();
  });

  it('a limiter counts in the process, a near cache is not trusted, a subscriber is told of the gap', async () => {
    const { app, redis } = await startTested();
    const [limiter, cache] = [app.get(RateLimiter), app.get(CacheService)];
    await cache.set('k', 1);
    await cache.get('k');
    let gaps = 0;
    const onGap = (): void => void (gaps += 1);
    const subscription = app.get(RedisAdapter).subscribe('orders', () => undefined, { onGap });
    await subscription.ready;
    redis.partition();
    expect((await limiter.consume('ada', { limit: 1, window: '1m' })).source).toBe('local');
    const outcomes: string[] = [];
    await cache.getOrSet('k', () => 2, { onOutcome: (outcome) => outcomes.push(outcome) });
    expect(outcomes).not.toEqual(['l1']);
    redis.heal();
    expect(gaps).toBe(1);
    await subscription.close();
  });

  it('one connection may fail alone; a name nobody has is refused', async () => {
    @Injectable()
    class Reports {
      constructor(@InjectRedis('reports') readonly reports: RedisAdapter) {}
    }
    const { app, redis } = await startTested({ connections: { reports: NOWHERE } }, [Reports]);
    const { reports } = app.get(Reports);
    redis.only('reports').fail('connection');
    await expect(reports.get('k')).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
    await expect(app.get(RedisAdapter).get('k')).resolves.toBeUndefined();
    redis.only('reports').heal();
    await expect(reports.get('k')).resolves.toBeUndefined();
    expect(() => redis.only('report')).toThrow("no connection 'report', only: default, reports");
  });

  it('one shard may be away, and costs its share', async () => {
    const { app, redis } = await startTested({
      shards: { a: NOWHERE, b: { url: 'redis://nowhere.invalid:2' } },
      cache: { l1: false },
    });
    const sharded = app.get(ShardedCache);
    await sharded.connect();
    const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`);
    await sharded.setMany(keys.map((key) => [key, key]));
    redis.only('b').partition();
    const found = await sharded.getMany(keys);
    expect(found.filter((value, i) => value === keys[i]).length).toBe(
      keys.filter((key) => sharded.shardFor(key) === 'a').length,
    );
    expect(found).toContain(undefined);
    redis.only('b').heal();
  });
});

describe('overrideRedis', () => {
  const REQUIRED = { url: 'rediss://user:secret@nowhere.invalid:1', connect: 'required' } as const;

  it.each([
    ['forRoot', () => RedisModule.forRoot({ ...REQUIRED, namespace: 'shop' })],
    [
      'forRootAsync',
      () => RedisModule.forRootAsync({ useFactory: () => ({ ...REQUIRED, namespace: 'shop' }) }),
    ],
  ])(
    'takes the server out of an application with %s, and leaves its other options',
    async (_way, imported) => {
      @Injectable()
      class Books {
        constructor(@Inject(CacheService) readonly cache: CacheService) {}
      }
      @Module({ imports: [imported()], providers: [Books] })
      class AppModule {}
      const { redis, compile } = overridden({ imports: [AppModule] });
      const app = await compile();
      expect(app.get(RedisConfig)).toMatchObject({
        namespace: 'shop',
        defaultConnection: { topology: 'embedded' },
      });
      const { cache } = app.get(Books);
      await cache.set('k', 1, '1m');
      expect(await cache.get('k')).toBe(1);
      await redis.clock.advance('1m');
      expect(await cache.get('k')).toBeUndefined();
      redis.fail('timeout');
      await expect(cache.delete('k')).rejects.toMatchObject({ code: 'COMMAND_TIMEOUT' });
    },
  );
});

describe('the process', () => {
  it('ends by itself after a compile that throws, and after a close with everything in use', async () => {
    const script = fileURLToPath(new URL('redis-testing-child.mjs', import.meta.url));
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk));
    const code = await new Promise((resolve) => child.once('exit', resolve));
    expect(printed.trim().split('\n')).toEqual(['compile threw: planted', 'closed', 'nothing left: []']);
    expect(code).toBe(0);
  }, 120_000);
});
