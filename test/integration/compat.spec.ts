/** What compat promises to those who come from other packages, and where it is better on purpose. */
import 'reflect-metadata';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  StreamableFile,
  UseGuards,
  UseInterceptors,
  type ExecutionContext,
} from '@nestjs/common';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CacheService, createRedis, RedisAdapter, RedisModule } from '@anbar/nestjs-redis';
import {
  Cache,
  CACHE_MANAGER,
  CacheInterceptor,
  CacheKey,
  CacheModule,
  CacheTTL,
  InjectRedis,
  minutes,
  NativeRedisModule,
  RedisService,
  RedisThrottlerStorage,
  SkipThrottle,
  Throttle,
  ThrottlerGuard,
  ThrottlerModule,
  ThrottlerStorageModule,
  type CacheManagerOptions,
} from '@anbar/nestjs-redis/compat';
import type { NativeRedis } from '@anbar/nestjs-redis/connection';
import { RedisTestingModule, TestRedis } from '@anbar/nestjs-redis/testing';
import { shared, startStandalone } from '../topology/index.js';
import { boot, bootFailure } from './boot.js';
import { serve } from './http-boot.js';

async function open(options: CacheManagerOptions = {}) {
  const { app } = await boot({ imports: [RedisTestingModule.forRoot(), CacheModule.register(options)] });
  return { app, redis: app.get(TestRedis), cache: app.get<Cache>(CACHE_MANAGER) };
}

describe('Cache', () => {
  it('is found by its token and by its class, and is one', async () => {
    const { app, cache } = await open();
    expect(cache).toBeInstanceOf(Cache);
    expect(app.get(Cache)).toBe(cache);
  });

  it('counts in milliseconds', async () => {
    const { cache, redis } = await open();
    expect(await cache.set('k', 1, 1_500)).toBe(1);
    await redis.clock.advance('1499ms');
    expect(await cache.get('k')).toBe(1);
    await redis.clock.advance('1ms');
    expect(await cache.get('k')).toBeUndefined();
  });

  it('has a time of its own for what comes without; 0 is for ever, and without any it is that of the module', async () => {
    const short = await open({ ttl: 1_000 });
    await short.cache.set('k', 1);
    await short.cache.set('kept', 1, 0);
    await short.redis.clock.advance('1s');
    expect(await short.cache.mget(['k', 'kept'])).toEqual([undefined, 1]);
    await short.redis.clock.advance('5h');
    expect(await short.cache.get('kept')).toBe(1);
    const plain = await open();
    await plain.cache.set('k', 1);
    await plain.redis.clock.advance('59m');
    expect(await plain.cache.get('k')).toBe(1);
    await plain.redis.clock.advance('1m');
    expect(await plain.cache.get('k')).toBeUndefined();
  });

  it('tells when an entry ends', async () => {
    const { cache, redis } = await open();
    await cache.set('k', 1, 5_000);
    expect(await cache.ttl('k')).toBe(redis.clock.wallNow() + 5_000);
    await cache.set('kept', 1, 0);
    expect(await cache.ttl('kept')).toBeUndefined();
    expect(await cache.ttl('nothing')).toBeUndefined();
  });

  it('refuses times that mean nothing', async () => {
    const { cache } = await open();
    for (const ttl of [-1, Number.NaN, Infinity]) {
      await expect(cache.set('k', 1, ttl)).rejects.toMatchObject({ code: 'COMPAT' });
    }
    const early = (() => 1) as unknown as number;
    await expect(cache.wrap('k', () => 1, 1_000, early)).rejects.toMatchObject({ code: 'COMPAT' });
  });

  it('keeps falsy values, and a null too', async () => {
    const { cache } = await open();
    for (const value of [0, '', false, null]) {
      await cache.set('k', value);
      expect(await cache.get('k')).toBe(value);
    }
  });

  it('clears what is its own, and nothing beside it', async () => {
    const { app, cache } = await open();
    const other = app.get(CacheService);
    await other.set('k', 'other');
    await app.get(RedisAdapter).set('k', 'raw');
    await cache.set('k', 'own');
    expect(await cache.clear()).toBe(true);
    expect([await cache.get('k'), await other.get('k')]).toEqual([undefined, 'other']);
    expect(await app.get(RedisAdapter).get('k')).toBe('raw');
  });

  it('tells of what it does, and of what failed', async () => {
    const { cache, redis } = await open();
    const told: unknown[] = [];
    for (const event of ['get', 'mget', 'set', 'mset', 'del', 'mdel', 'clear'] as const) {
      cache.on(event, (data: unknown) => told.push([event, data]));
    }
    await cache.set('k', 1);
    await cache.get('k');
    await cache.get('nothing');
    await cache.mset([{ key: 'a', value: 2, ttl: 5 }]);
    await cache.mget(['a']);
    await cache.del('k');
    await cache.mdel(['a']);
    await cache.clear();
    expect(told).toEqual([
      ['set', { key: 'k', value: 1 }],
      ['get', { key: 'k', value: 1 }],
      ['mset', { list: [{ key: 'a', value: 2, ttl: 5 }] }],
      ['mget', { keys: ['a'], values: [2] }],
      ['del', { key: 'k' }],
      ['mdel', { keys: ['a'] }],
      ['clear', undefined],
    ]);
    told.length = 0;
    redis.fail('connection');
    await expect(cache.del('k')).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
    await expect(cache.set('k', 1)).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
    expect(told).toMatchObject([
      ['del', { key: 'k', error: { code: 'NOT_CONNECTED' } }],
      ['set', { key: 'k', error: { code: 'NOT_CONNECTED' } }],
    ]);
  });
});

describe('wrap', () => {
  it('asks once, for all who ask meanwhile, and takes the time from the value', async () => {
    const { cache, redis } = await open();
    let calls = 0;
    const load = async (): Promise<number> => {
      calls += 1;
      return Promise.resolve(calls);
    };
    const ttl = (value: number): number => value * 1_000;
    expect(await Promise.all([1, 2, 3].map(() => cache.wrap('k', load, ttl)))).toEqual([1, 1, 1]);
    await redis.clock.advance('999ms');
    expect(await cache.wrap('k', load, ttl)).toBe(1);
    await redis.clock.advance('1ms');
    expect(await cache.wrap('k', load, { ttl })).toBe(2);
    await redis.clock.advance('1999ms');
    expect(await cache.get('k')).toBe(2);
  });

  it('gives value and end when asked for both', async () => {
    const { cache, redis } = await open();
    expect(await cache.wrap('k', () => 'v', { ttl: 5_000, raw: true })).toEqual({
      value: 'v',
      expires: redis.clock.wallNow() + 5_000,
    });
  });

  it('loads anew behind the answer in the last moments, and tells of it', async () => {
    const { cache, redis } = await open({ refreshThreshold: 2_000 });
    const refreshed: unknown[] = [];
    cache.on('refresh', (data) => refreshed.push(data));
    let calls = 0;
    const load = (): number => (calls += 1);
    expect(await cache.wrap('k', load, 10_000)).toBe(1);
    await redis.clock.advance('7999ms');
    expect(await cache.wrap('k', load, 10_000)).toBe(1);
    expect(calls).toBe(1);
    await redis.clock.advance('1s');
    expect(await cache.get('k')).toBe(1);
    expect(await cache.wrap('k', load, 10_000)).toBe(1);
    await redis.clock.advance(0);
    expect(await cache.wrap('k', load, 10_000)).toBe(2);
    expect(refreshed).toEqual([{ key: 'k', value: 2 }]);
    await redis.clock.advance('10s');
    expect(await cache.get('k')).toBeUndefined();
  });

  it('never stores what was loaded before a del, and lets failures through', async () => {
    const { cache } = await open();
    let answer: (value: string) => void = () => undefined;
    const first = cache.wrap('k', () => new Promise<string>((resolve) => (answer = resolve)));
    await cache.get('k');
    await cache.del('k');
    answer('old');
    await first;
    expect(await cache.get('k')).toBeUndefined();
    const failing = cache.wrap('k', () => Promise.reject(new Error('database')));
    await expect(failing).rejects.toThrow('database');
  });

  it('goes to its function when Redis is away', async () => {
    const { cache, redis } = await open();
    redis.fail('timeout');
    expect(await cache.wrap('k', () => 'loaded')).toBe('loaded');
    expect(await cache.get('k')).toBeUndefined();
  });
});

describe('CacheModule', () => {
  it('takes its options from a factory, and can be global', async () => {
    @Module({
      providers: [{ provide: 'seen', inject: [CACHE_MANAGER], useFactory: (cache: Cache) => cache }],
    })
    class FarModule {}
    const module = CacheModule.registerAsync({
      isGlobal: true,
      inject: ['id'],
      extraProviders: [{ provide: 'id', useValue: 'mine' }],
      useFactory: (cacheId: string) => ({ cacheId }),
    });
    const { app } = await boot({ imports: [RedisTestingModule.forRoot(), module, FarModule] });
    expect(app.get<Cache>('seen', { strict: false }).cacheId()).toBe('mine');
  });

  it('refuses stores, and says where they belong', async () => {
    const options = { stores: ['redis://host'] } as CacheManagerOptions;
    const failure = await bootFailure({
      imports: [RedisTestingModule.forRoot(), CacheModule.register(options)],
    });
    expect(failure).toMatchObject({
      code: 'COMPAT',
      hint: expect.stringContaining('RedisModule.forRoot') as string,
    });
  });
});

let runs = 0;

@Controller()
@UseInterceptors(CacheInterceptor)
class Pages {
  @Get('page')
  @CacheTTL(minutes(1))
  page(): { runs: number } {
    return { runs: (runs += 1) };
  }

  @Get('mine')
  @CacheKey((context: ExecutionContext) =>
    String(context.switchToHttp().getRequest<{ headers: Record<string, string> }>().headers['authorization']),
  )
  mine(): { runs: number } {
    return { runs: (runs += 1) };
  }

  @Get('file')
  file(): StreamableFile {
    runs += 1;
    return new StreamableFile(Buffer.from(`file ${runs}`));
  }
}

describe.each(['express', 'fastify'] as const)('CacheInterceptor on %s', (platform) => {
  it('keeps the answer of an address, but none for somebody who says who they are', async () => {
    const page = await serve({ imports: [CacheModule.register()], controllers: [Pages] }, { platform });
    const first = await page.get('/page');
    expect(first.headers.get('x-cache')).toBe('MISS');
    const second = await page.get('/page');
    expect([second.text, second.headers.get('x-cache')]).toEqual([first.text, 'HIT']);
    for (const headers of [{ authorization: 'Bearer a' }, { cookie: 'sid=1' }] as Record<string, string>[]) {
      const answer = await page.get('/page', headers);
      expect(answer.text).not.toBe(first.text);
      expect(answer.headers.get('x-cache')).toBeNull();
    }
    const [ada, bob] = [
      await page.get('/mine', { authorization: 'ada' }),
      await page.get('/mine', { authorization: 'bob' }),
    ];
    expect(bob.text).not.toBe(ada.text);
    expect((await page.get('/mine', { authorization: 'ada' })).text).toBe(ada.text);
    expect((await page.get('/file')).text).not.toBe((await page.get('/file')).text);
  });
});

describe('RedisThrottlerStorage', () => {
  const hit = (storage: RedisThrottlerStorage, key = 'k') =>
    storage.increment(key, 60_000, 2, 30_000, 'default');

  it('counts for all processes together', async () => {
    const { url } = await shared('standalone');
    const namespace = `throttler-${process.pid}`;
    const processes = [1, 2].map(() => {
      const redis = createRedis({ url, timeout: '5s' }, {});
      onTestFinished(() => redis.disconnect());
      return new RedisThrottlerStorage({ client: redis.adapter.port, namespace });
    });
    const hits = await Promise.all(
      Array.from({ length: 10 }, (_, i) => hit(processes[i % 2] ?? (processes[0] as RedisThrottlerStorage))),
    );
    expect(hits.filter(({ isBlocked }) => !isBlocked)).toHaveLength(2);
    expect(
      hits.filter(({ isBlocked }) => isBlocked).map(({ timeToBlockExpire }) => timeToBlockExpire),
    ).toEqual(Array.from({ length: 8 }, () => 30));
  });

  it.each([
    ['local', [false, false, true]],
    ['open', [false, false, false]],
  ] as const)("counts on without Redis: '%s'", async (onStoreError, blocked) => {
    const server = await startStandalone();
    onTestFinished(() => server.stop());
    const redis = createRedis({ url: server.url }, {});
    onTestFinished(() => redis.disconnect());
    const storage = new RedisThrottlerStorage(
      { client: redis.adapter.port, namespace: 'n' },
      { onStoreError },
    );
    onTestFinished(() => storage.onApplicationShutdown());
    await server.process.kill();
    const hits = [await hit(storage), await hit(storage), await hit(storage)];
    expect(hits.map(({ isBlocked }) => isBlocked)).toEqual(blocked);
  });

  it("fails without Redis when it has to: 'closed'", async () => {
    const { app } = await boot({
      imports: [RedisTestingModule.forRoot(), ThrottlerStorageModule.register({ onStoreError: 'closed' })],
    });
    app.get(TestRedis).fail('connection');
    await expect(hit(app.get(RedisThrottlerStorage))).rejects.toMatchObject({ code: 'NOT_CONNECTED' });
  });

  it('makes no key of what a client sends', async () => {
    const { app } = await boot({
      imports: [RedisTestingModule.forRoot(), ThrottlerStorageModule.register()],
    });
    const storage = app.get(RedisThrottlerStorage);
    await hit(storage, 'a}:{b*\n');
    await hit(storage, 'x'.repeat(10_000));
    const keys: string[] = [];
    for await (const batch of app.get(RedisAdapter).scan()) keys.push(...batch);
    expect(keys).toHaveLength(4);
    for (const key of keys) {
      expect(key).toMatch(/^app:v1:throttler:(?:hits|state):\{[^{}\n]+\}$/u);
      expect(key.length).toBeLessThan(200);
    }
    await expect(storage.increment('k', Number.NaN, 1, 0, 'n')).rejects.toMatchObject({ code: 'COMPAT' });
  });
});

@Injectable()
class PlanGuard extends ThrottlerGuard {
  protected override getTracker(request: Record<string, unknown>): Promise<string> {
    return Promise.resolve(String(Reflect.get(Object(request['headers']), 'x-plan')));
  }

  protected override shouldSkip(context: ExecutionContext): Promise<boolean> {
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return Promise.resolve(headers['x-plan'] === 'none');
  }
}

@Controller()
@UseGuards(PlanGuard)
class Limited {
  @Get('plain')
  plain(): string {
    return 'ok';
  }

  @Get('wide')
  @Throttle({ default: { limit: 2 } })
  wide(): string {
    return 'ok';
  }

  @Get('free')
  @SkipThrottle()
  free(): string {
    return 'ok';
  }
}

describe.each(['express', 'fastify'] as const)('ThrottlerGuard on %s', (platform) => {
  it('can be extended, and tells clients in a field they know when to come back', async () => {
    const page = await serve(
      {
        imports: [
          ThrottlerModule.forRootAsync({
            useFactory: () => [{ name: 'default', ttl: minutes(1), limit: 1 }],
          }),
        ],
        controllers: [Limited],
      },
      { platform },
    );
    const ask = async (path: string, plan: string) => (await page.get(path, { 'x-plan': plan })).status;
    expect([await ask('/plain', 'a'), await ask('/plain', 'a'), await ask('/plain', 'b')]).toEqual([
      200, 429, 200,
    ]);
    expect([await ask('/wide', 'a'), await ask('/wide', 'a'), await ask('/wide', 'a')]).toEqual([
      200, 200, 429,
    ]);
    for (let i = 0; i < 3; i += 1) expect(await ask('/free', 'a')).toBe(200);
    for (let i = 0; i < 3; i += 1) expect(await ask('/plain', 'none')).toBe(200);
  });

  it('answers 429 with a Retry-After that is not hidden behind the name of a throttler', async () => {
    const page = await serve(
      {
        imports: [ThrottlerModule.forRoot([{ name: 'short', ttl: minutes(1), limit: 1 }])],
        controllers: [Limited],
      },
      { platform },
    );
    await page.get('/plain');
    const denied = await page.get('/plain');
    expect(denied.status).toBe(429);
    expect(denied.headers.get('retry-after')).toBe('60');
    expect(denied.headers.get('retry-after-short')).toBe('60');
  });
});

describe('InjectRedis', () => {
  @Injectable()
  class Users {
    constructor(@InjectRedis() readonly redis: NativeRedis) {}
  }

  it('gives the driver itself, and closes it with the application', async () => {
    const { url } = await shared('standalone');
    const imports = [RedisModule.forRoot({ url }), NativeRedisModule.register()];
    const { app } = await boot({ imports, providers: [Users] });
    const { redis } = app.get(Users);
    expect(await redis.ping()).toBe('PONG');
    expect(app.get(RedisService).getOrThrow()).toBe(redis);
    expect(app.get(RedisService).getOrNil('other')).toBeNull();
    expect(() => app.get(RedisService).getOrThrow('other')).toThrow("there is no 'other', only: default");
    await app.close();
    await expect(redis.ping()).rejects.toThrow();
  });

  it('says on the embedded default that there is none, and what to do', async () => {
    const imports = [RedisModule.forRoot({ topology: 'embedded' }), NativeRedisModule.register()];
    const failure = await bootFailure({ imports, providers: [Users] });
    expect(failure).toMatchObject({
      code: 'COMPAT',
      hint: expect.stringContaining('RedisAdapter') as string,
    });
    expect(failure.message).toContain('runs embedded');
  });

  it('says what to import when nobody provides it', async () => {
    const failure = await bootFailure({
      imports: [RedisModule.forRoot({ topology: 'embedded' })],
      providers: [Users],
    });
    expect(failure.message).toContain('import NativeRedisModule.register() beside RedisModule');
  });
});

describe('what is injected', () => {
  it('is the cache by its class as well', async () => {
    @Injectable()
    class Books {
      constructor(@Inject(Cache) readonly cache: Cache) {}
    }
    const { app } = await boot({
      imports: [RedisTestingModule.forRoot(), CacheModule.register()],
      providers: [Books],
    });
    expect(await app.get(Books).cache.wrap('k', () => 1)).toBe(1);
  });
});
