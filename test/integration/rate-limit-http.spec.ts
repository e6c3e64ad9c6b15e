/** Limits of routes on Express and on Fastify: who is counted, what clients are told, in which order things run. */
import 'reflect-metadata';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import {
  Controller,
  Get,
  Injectable,
  Module,
  Param,
  Post,
  Req,
  StreamableFile,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
  type LoggerService,
  type MiddlewareConsumer,
  type ModuleMetadata,
  type NestInterceptor,
  type NestModule,
} from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { timeout, type Observable } from 'rxjs';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  fastifyRateLimits,
  RateLimit,
  rateLimitEverywhere,
  RateLimiter,
  RateLimitGuard,
  RateLimitMiddleware,
  RedisModule,
  SkipRateLimit,
  type Limit,
  type RateLimitOptions,
} from '@anbar/nestjs-redis';

interface Adapter {
  readonly name: string;
  readonly create: () => ExpressAdapter | FastifyAdapter;
  /** Endpoints are limited by the plugin of Fastify, also where the middleware would do it again. */
  readonly plugin?: true;
}

const ADAPTERS: readonly Adapter[] = [
  { name: 'express', create: () => new ExpressAdapter() },
  { name: 'fastify', create: () => new FastifyAdapter() },
];

const DOORS: readonly Adapter[] = [
  ...ADAPTERS,
  { name: 'fastify, by its plugin', create: () => new FastifyAdapter(), plugin: true },
];

interface Served {
  readonly app: INestApplication;
  readonly log: readonly string[];
  ask(path: string, init?: RequestInit): Promise<Response>;
}

async function serve(
  adapter: Adapter,
  rateLimit: RateLimitOptions,
  metadata: ModuleMetadata,
): Promise<Served> {
  class TestModule {
    readonly name = 'the test';
  }
  Module({
    ...metadata,
    imports: [RedisModule.forRoot({ topology: 'embedded', rateLimit }), ...(metadata.imports ?? [])],
  })(TestModule);
  const log: string[] = [];
  const keep = (message: unknown, context: unknown): void => {
    if (context === 'RateLimit') log.push(String(message));
  };
  const logger: LoggerService = { log: () => undefined, warn: keep, error: keep };
  const app = await NestFactory.create(TestModule, adapter.create(), { logger, abortOnError: false });
  if (adapter.plugin === true) {
    await (app as unknown as NestFastifyApplication).register(fastifyRateLimits(app) as never);
  }
  const server = (await app.listen(0, '127.0.0.1')) as Server;
  onTestFinished(async () => {
    // Of a request that was given up the client keeps a connection that nothing was sent on.
    server.closeAllConnections();
    await app.close();
  });
  const { port } = server.address() as AddressInfo;
  return { app, log, ask: (path, init) => fetch(`http://127.0.0.1:${port}${path}`, init) };
}

/** Believes everybody who names somebody. */
@Injectable()
class Believer implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{
      headers: Record<string, string | undefined>;
      user?: unknown;
    }>();
    const id = request.headers['x-user'];
    if (id !== undefined)
      request.user = { id, plan: request.headers['x-plan'], tenantId: request.headers['x-tenant'] };
    return true;
  }
}

let running = 0;
let most = 0;
let letGo: () => void = () => undefined;

@Controller()
class Routes {
  @Get('plain')
  plain(): string {
    return 'plain';
  }

  @Get('ip')
  @RateLimit({ limit: 2, window: '1d' })
  ip(): string {
    return 'ip';
  }

  @Get('other')
  @RateLimit({ limit: 2, window: '1d' })
  other(): string {
    return 'other';
  }

  @Get('shared/:name')
  @RateLimit({ name: 'shared', limit: 2, window: '1d' })
  shared(@Param('name') name: string): string {
    return name;
  }

  @Get('shared-too')
  @RateLimit({ name: 'shared', limit: 2, window: '1d' })
  sharedToo(): string {
    return 'too';
  }

  @Post('two')
  @RateLimit({ name: 'burst', limit: 10, window: '1h' }, { name: 'daily', limit: 3, window: '1d' })
  two(): string {
    return 'two';
  }

  @Get('user')
  @UseGuards(Believer)
  @RateLimit({ limit: 2, window: '1d', by: 'user' })
  user(): string {
    return 'user';
  }

  @Get('user-above')
  @RateLimit({ limit: 2, window: '1d', by: 'user' })
  @UseGuards(Believer)
  userAbove(): string {
    return 'user';
  }

  @Get('tenant')
  @UseGuards(Believer)
  @RateLimit({ limit: 2, window: '1d', by: 'tenant', anonymous: 'skip' })
  tenant(): string {
    return 'tenant';
  }

  @Get('key')
  @RateLimit({ limit: 2, window: '1d', by: 'apiKey' })
  key(): string {
    return 'key';
  }

  @Get('plan')
  @UseGuards(Believer)
  @RateLimit({
    window: '1d',
    by: 'user',
    limit: async ({ user }) => (Reflect.get(user as object, 'plan') === 'gold' ? { limit: 5 } : 1),
  })
  plan(): string {
    return 'plan';
  }

  @Get('by/:name')
  @RateLimit({ limit: 1, window: '1d', by: ({ request }) => ['path', String(request['url'])] })
  by(@Param('name') name: string): string {
    return name;
  }

  @Get('cost')
  @RateLimit({
    limit: 10,
    window: '1d',
    cost: ({ kind }) => (kind === 'http' ? 4 : 1),
    skip: (call) => call.header('x-internal') === 'yes',
  })
  cost(): string {
    return 'cost';
  }

  @Get('impossible')
  @RateLimit({ limit: 0 })
  impossible(): string {
    return 'never';
  }

  @Get('penalty')
  @RateLimit({ limit: 1, window: '1s', penalty: '1h' })
  penalty(): string {
    return 'penalty';
  }

  @Get('place')
  @RateLimit({ algorithm: 'concurrency', limit: 2 })
  async place(): Promise<string> {
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve) => {
      const before = letGo;
      letGo = () => {
        before();
        resolve();
      };
    });
    running -= 1;
    return 'place';
  }

  @Get('broken')
  @RateLimit({ algorithm: 'concurrency', limit: 1 })
  broken(): string {
    throw new Error('on purpose');
  }
}

async function statuses(served: Served, count: number, path: string, init?: (i: number) => RequestInit) {
  const out: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const response = await served.ask(path, init?.(i));
    await response.text();
    out.push(response.status);
  }
  return out;
}

describe.each(ADAPTERS)('routes on $name', (adapter) => {
  const routes = { controllers: [Routes] };

  it('a route has a limit of its own, by address, with nothing but the decorator', async () => {
    const served = await serve(adapter, {}, routes);
    expect(await statuses(served, 3, '/ip')).toEqual([200, 200, 429]);
    expect(await statuses(served, 3, '/other')).toEqual([200, 200, 429]);
    expect(await statuses(served, 4, '/plain')).toEqual([200, 200, 200, 200]);
  });

  it('other spellings of a path are the same route', async () => {
    const served = await serve(adapter, {}, routes);
    await statuses(served, 2, '/ip');
    for (const path of ['/IP', '/ip/', '/%69p', '/ip?x=1', '/ip#a', '//ip', '/./ip', '/x/../ip', '/ip;a=1']) {
      const { status } = await served.ask(path);
      expect([path, status === 429 || status === 404]).toEqual([path, true]);
    }
  });

  it('rules of the same name share what they count', async () => {
    const served = await serve(adapter, {}, routes);
    expect(await statuses(served, 1, '/shared/a')).toEqual([200]);
    expect(await statuses(served, 2, '/shared-too')).toEqual([200, 429]);
    expect(await statuses(served, 1, '/shared/b')).toEqual([429]);
  });

  it('tells of all limits, in the fields of the draft, before and after they are used up', async () => {
    const served = await serve(adapter, {}, routes);
    const first = await served.ask('/two', { method: 'POST' });
    expect(first.status).toBe(201);
    expect(first.headers.get('ratelimit-policy')).toBe('"burst";q=10;w=3600, "daily";q=3;w=86400');
    expect(first.headers.get('ratelimit')).toBe('"burst";r=9;t=360, "daily";r=2;t=28800');
    expect(first.headers.get('retry-after')).toBeNull();
    await statuses(served, 2, '/two', () => ({ method: 'POST' }));
    const denied = await served.ask('/two', { method: 'POST' });
    expect(denied.status).toBe(429);
    expect(denied.headers.get('ratelimit')).toMatch(/^"burst";r=7;t=\d+, "daily";r=0;t=28800$/u);
    expect(denied.headers.get('retry-after')).toBe('28800');
    expect(denied.headers.get('content-type')).toMatch(/^application\/problem\+json/u);
    expect(await denied.json()).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Request cannot be satisfied as assigned quota has been exceeded',
      status: 429,
      detail: "The limit 'daily' is used up; try again in 28800 s.",
      code: 'RATE_LIMITED',
      'violated-policies': ['daily'],
    });
  });

  it('tells what was asked for: the old fields, both, or nothing but when to come again', async () => {
    const legacy = await serve(adapter, { headers: 'legacy' }, routes);
    const { headers } = await legacy.ask('/two', { method: 'POST' });
    expect([...headers.keys()].filter((name) => name.includes('ratelimit'))).toEqual([
      'x-ratelimit-limit',
      'x-ratelimit-remaining',
      'x-ratelimit-reset',
    ]);
    expect([headers.get('x-ratelimit-limit'), headers.get('x-ratelimit-remaining')]).toEqual(['3', '2']);
    const both = await (await serve(adapter, { headers: 'both' }, routes)).ask('/ip');
    expect([both.headers.get('x-ratelimit-limit'), both.headers.get('ratelimit')]).toEqual([
      '2',
      '"Routes.ip";r=1;t=43200',
    ]);
    const none = await serve(adapter, { headers: false }, routes);
    await statuses(none, 2, '/ip');
    const denied = await none.ask('/ip');
    expect([...denied.headers.keys()].filter((name) => /ratelimit|retry/u.test(name))).toEqual([
      'retry-after',
    ]);
  });

  it('names no time where waiting does not help', async () => {
    const served = await serve(adapter, {}, routes);
    const denied = await served.ask('/impossible');
    expect([denied.status, denied.headers.get('retry-after')]).toEqual([429, null]);
    expect(await denied.json()).toMatchObject({ detail: expect.stringContaining('at any time') as string });
  });

  it('says of a penalty that it is one', async () => {
    const served = await serve(adapter, {}, routes);
    await statuses(served, 2, '/penalty');
    const denied = await served.ask('/penalty');
    expect(await denied.json()).toMatchObject({
      type: expect.stringContaining('#abnormal-usage-detected') as string,
    });
    expect(Number(denied.headers.get('retry-after'))).toBeGreaterThan(3_500);
  });

  it.each(['/user', '/user-above'])('%s: users are counted after the guards that find them', async (path) => {
    const served = await serve(adapter, {}, routes);
    const as = (user: string) => () => ({ headers: { 'x-user': user } });
    expect(await statuses(served, 3, path, as('ada'))).toEqual([200, 200, 429]);
    expect(await statuses(served, 3, path, as('bob'))).toEqual([200, 200, 429]);
    // Nobody is counted by address.
    expect(await statuses(served, 3, path)).toEqual([200, 200, 429]);
  });

  it('a tenant is counted as one, and who has none not at all, where the rule says so', async () => {
    const served = await serve(adapter, {}, routes);
    const of = (tenant: string) => (i: number) => ({ headers: { 'x-user': `u${i}`, 'x-tenant': tenant } });
    expect(await statuses(served, 3, '/tenant', of('a'))).toEqual([200, 200, 429]);
    expect(await statuses(served, 4, '/tenant', (i) => ({ headers: { 'x-user': `u${i}` } }))).toEqual([
      200, 200, 200, 200,
    ]);
  });

  it('an API key is counted, and does not stand in Redis', async () => {
    const served = await serve(adapter, {}, routes);
    const secret = 'sk_live_4711';
    expect(await statuses(served, 3, '/key', () => ({ headers: { 'x-api-key': secret } }))).toEqual([
      200, 200, 429,
    ]);
    expect(await statuses(served, 1, '/key', () => ({ headers: { 'x-api-key': 'other' } }))).toEqual([200]);
  });

  it('a plan decides about the limit, and a function about whom, how much and whether', async () => {
    const served = await serve(adapter, {}, routes);
    const as = (plan: string) => () => ({ headers: { 'x-user': plan, 'x-plan': plan } });
    expect(await statuses(served, 3, '/plan', as('gold'))).toEqual([200, 200, 200]);
    expect(await statuses(served, 2, '/plan', as('tin'))).toEqual([200, 429]);
    expect(await statuses(served, 2, '/by/a')).toEqual([200, 429]);
    expect(await statuses(served, 1, '/by/b')).toEqual([200]);
    expect(await statuses(served, 3, '/cost')).toEqual([200, 200, 429]);
    expect(await statuses(served, 1, '/cost', () => ({ headers: { 'x-internal': 'yes' } }))).toEqual([200]);
  });

  it('places are given back when the handler is done, also when it failed', async () => {
    const served = await serve(adapter, {}, routes);
    expect(await statuses(served, 3, '/broken')).toEqual([500, 500, 500]);
    [running, most] = [0, 0];
    let answered = 0;
    const asked = Array.from({ length: 5 }, async () => {
      const response = await served.ask('/place');
      answered += 1;
      return response;
    });
    // Whoever comes after the two are let go would find a place, and nobody to let it go.
    await expect.poll(() => [running, answered], { timeout: 15_000 }).toEqual([2, 3]);
    letGo();
    const all = (await Promise.all(asked)).map(({ status }) => status).toSorted((a, b) => a - b);
    expect(all).toEqual([200, 200, 429, 429, 429]);
    expect(most).toBe(2);
    const again = served.ask('/place');
    await expect.poll(() => running, { timeout: 15_000 }).toBe(1);
    letGo();
    expect((await again).status).toBe(200);
  });
});

@Controller('a')
@RateLimit({ name: 'outer', limit: 3, window: '1d' })
class Outer {
  @Get('plain')
  plain(): string {
    return 'plain';
  }

  @Get('both')
  @RateLimit({ name: 'inner', limit: 1, window: '1d' })
  both(): string {
    return 'both';
  }

  @Get('instead')
  @RateLimit({ name: 'outer', limit: 1, window: '1d' })
  instead(): string {
    return 'instead';
  }

  @Get('skip')
  @SkipRateLimit()
  skip(): string {
    return 'skip';
  }

  @Get('skip-one')
  @SkipRateLimit('outer')
  skipOne(): string {
    return 'skip';
  }
}

@Controller('b')
@SkipRateLimit('everyone')
class Exempt {
  @Get('free')
  free(): string {
    return 'free';
  }

  @Get('own')
  @RateLimit({ name: 'own', limit: 1, window: '1d' })
  own(): string {
    return 'own';
  }
}

@Controller('c')
class Users {
  @Get()
  @UseGuards(Believer)
  all(@Req() _request: unknown): string {
    return 'c';
  }
}

describe.each(ADAPTERS)('limits of everything on $name', (adapter) => {
  const controllers = [Outer, Exempt, Users];

  it('stand at classes, and are replaced or skipped closer to the route', async () => {
    const served = await serve(adapter, {}, { controllers });
    expect(await statuses(served, 2, '/a/both')).toEqual([200, 429]);
    expect(await statuses(served, 4, '/a/skip')).toEqual([200, 200, 200, 200]);
    expect(await statuses(served, 4, '/a/skip-one')).toEqual([200, 200, 200, 200]);
    expect(await statuses(served, 3, '/a/plain')).toEqual([200, 200, 429]);
    const fresh = await serve(adapter, {}, { controllers });
    expect(await statuses(fresh, 2, '/a/instead')).toEqual([200, 429]);
  });

  it('count each call once, however many places the guard stands at', async () => {
    const limits = [{ name: 'everyone', limit: 3, window: '1d' as const }];
    const served = await serve(adapter, { limits }, { controllers, providers: rateLimitEverywhere() });
    expect(await statuses(served, 4, '/a/skip')).toEqual([200, 200, 200, 200]);
    const first = await served.ask('/a/both');
    expect(first.headers.get('ratelimit')).toMatch(
      /^"everyone";r=2;t=\d+, "outer";r=2;t=\d+, "inner";r=0;t=\d+$/u,
    );
    expect(await statuses(served, 5, '/b/free')).toEqual([200, 200, 200, 200, 200]);
    expect(await statuses(served, 2, '/b/own')).toEqual([200, 429]);
    expect(await statuses(served, 3, '/c')).toEqual([200, 200, 429]);
  });

  it('count users too, after the guards of the route', async () => {
    const limits = [{ name: 'each', limit: 2, window: '1d' as const, by: 'user' as const }];
    const served = await serve(adapter, { limits }, { controllers, providers: rateLimitEverywhere() });
    for (const user of ['ada', 'bob']) {
      expect(await statuses(served, 3, '/c', () => ({ headers: { 'x-user': user } }))).toEqual([
        200, 200, 429,
      ]);
    }
    expect(served.log).toEqual([]);
  });

  it('warn when users are to be counted and only the guard is there, and count before them', async () => {
    const limits = [{ name: 'each', limit: 2, window: '1d' as const, by: 'user' as const }];
    const providers = [{ provide: APP_GUARD, useClass: RateLimitGuard }];
    const served = await serve(adapter, { limits }, { controllers, providers });
    const users = (i: number) => ({ headers: { 'x-user': `u${i}` } });
    expect(await statuses(served, 3, '/c', users)).toEqual([200, 200, 429]);
    expect(served.log).toEqual([expect.stringContaining('rateLimitEverywhere()')]);
  });

  it('places are not taken where only the guard is there, and nobody is shut out', async () => {
    const limits = [{ name: 'room', algorithm: 'concurrency' as const, limit: 1 }];
    const providers = [{ provide: APP_GUARD, useClass: RateLimitGuard }];
    const alone = await serve(adapter, { limits }, { controllers, providers });
    expect(await statuses(alone, 3, '/c')).toEqual([200, 200, 200]);
    expect(alone.log).toEqual([expect.stringMatching(/'concurrency'.*rateLimitEverywhere\(\)/u)]);
    const around = await serve(adapter, { limits }, { controllers, providers: rateLimitEverywhere() });
    const { status, headers } = await around.ask('/c');
    expect([status, headers.get('ratelimit')]).toEqual([200, '"room";r=0']);
    expect(around.log).toEqual([]);
  });

  it('count each by itself, with names or without', async () => {
    const limits = [
      { limit: 10, window: '1d' as const },
      { limit: 5, window: '1d' as const },
      { limit: 3, window: '1d' as const, by: 'user' as const },
    ];
    const served = await serve(adapter, { limits }, { controllers, providers: rateLimitEverywhere() });
    const { status, headers } = await served.ask('/c');
    expect([status, headers.get('ratelimit')]).toEqual([
      200,
      '"default";r=9;t=8640, "default.2";r=4;t=17280, "default.3";r=2;t=28800',
    ]);
  });

  it('one RateLimiter is injectable, for what is no route', async () => {
    const { app } = await serve(adapter, {}, { controllers });
    const limiter = app.get(RateLimiter);
    expect((await limiter.consume('job', { limit: 1, window: '1d' })).allowed).toBe(true);
    expect((await limiter.consume('job', { limit: 1, window: '1d' })).allowed).toBe(false);
    expect(limiter.stats()).toMatchObject({ allowed: 1, denied: 1 });
  });
});

@Module({ controllers: [Routes] })
class Limited implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(RateLimitMiddleware).forRoutes('*path');
  }
}

describe.each(DOORS)('endpoints on $name', (adapter) => {
  const endpoints = {
    'GET /plain': { limit: 2, window: '1d' },
    '/by/*': { limit: 1, window: '1d', by: ({ kind }) => kind },
    '*': { limit: 100, window: '1d' },
  } as const satisfies RateLimitOptions['endpoints'];

  it('limits endpoints by method and path, however a path is spelt', async () => {
    const served = await serve(adapter, { endpoints }, { imports: [Limited] });
    const first = await served.ask('/plain');
    expect(first.status).toBe(200);
    expect(first.headers.get('ratelimit')).toBe('"GET.plain";r=1;t=43200');
    expect((await served.ask('/PLAIN')).status).not.toBe(429);
    for (const path of [
      '/plain',
      '/plain/',
      '/PLAIN',
      '/%70lain',
      '/plain?a=b',
      '//plain',
      '/./plain',
      '/plain;a',
    ]) {
      const denied = await served.ask(path);
      expect([path, denied.status]).toEqual([path, 429]);
      expect(denied.headers.get('content-type')).toMatch(/^application\/problem\+json/u);
      expect(await denied.json()).toMatchObject({ status: 429, 'violated-policies': ['GET.plain'] });
    }
    const other = await served.ask('/ip');
    expect([other.status, other.headers.get('ratelimit')?.includes('Routes.ip')]).toEqual([200, true]);
  });
});

describe('the plugin of Fastify', () => {
  const fastify: Adapter = { name: 'fastify', create: () => new FastifyAdapter(), plugin: true };

  it('refuses before the body is looked at, also where there is no route', async () => {
    const endpoints = { '*': { limit: 1, window: '1d' } } as const;
    const served = await serve(fastify, { endpoints }, { controllers: [Routes] });
    const broken = { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } };
    const [looked, refused] = [await served.ask('/body', broken), await served.ask('/body', broken)];
    expect([looked.status, refused.status]).toEqual([400, 429]);
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/u);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(80_000);
    expect((await served.ask('/nowhere')).status).toBe(429);
  });

  it('tells the seconds that are left, not those of the first refusal', async () => {
    const endpoints = { '*': { limit: 1, window: '30s' } } as const;
    const served = await serve(fastify, { endpoints }, { controllers: [Routes] });
    await served.ask('/plain');
    const waits = async (): Promise<readonly [string | null, string]> => {
      const answer = await served.ask('/plain');
      return [answer.headers.get('retry-after'), ((await answer.json()) as { detail: string }).detail];
    };
    const first = await waits();
    expect(await waits()).toEqual(first);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const later = await waits();
    expect(Number(later[0])).toBeLessThan(Number(first[0]));
    expect(later[1]).toContain(`in ${later[0] ?? ''} s`);
  });

  it('hands an error of the limits on to Fastify', async () => {
    const endpoints = { '*': { limit: () => Promise.reject(new Error('no terms')), window: '1d' } } as const;
    const served = await serve(fastify, { endpoints }, { controllers: [Routes] });
    expect((await served.ask('/plain')).status).toBe(500);
  });
});

const ROOM: Limit = { name: 'room', algorithm: 'concurrency', limit: 2 };

/** How many places are free for the one client of these tests. */
async function free({ app }: Served, limit: Limit = ROOM): Promise<number | undefined> {
  const decision = await app.get(RateLimiter).peek(['ip', '127.0.0.1'], limit);
  return decision.limits[0]?.remaining;
}

/** Whoever asks for the limit waits until the gate is opened. */
class Gate {
  asked = 0;
  entered = 0;
  readonly #opened: Promise<void>;
  open: () => void = () => undefined;

  constructor() {
    this.#opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  readonly limit = async (): Promise<number> => {
    this.asked += 1;
    await this.#opened;
    return ROOM.limit;
  };
}

let gate = new Gate();
let source = new PassThrough();

@Injectable()
class Hurry implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(timeout(50));
  }
}

@Controller('room')
class Rooms {
  @Get('open')
  open(): string {
    gate.entered += 1;
    return 'open';
  }

  @Get('hurried')
  @RateLimit({ ...ROOM, limit: () => gate.limit() })
  @UseInterceptors(Hurry)
  hurried(): string {
    gate.entered += 1;
    return 'hurried';
  }

  @Get('stream')
  @RateLimit(ROOM)
  stream(): StreamableFile {
    return new StreamableFile(source);
  }
}

@Module({ controllers: [Rooms] })
class LimitedRooms implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(RateLimitMiddleware).forRoutes('*path');
  }
}

/** As what watches over the time a request takes: it answers, whatever becomes of it. */
const answerSoon = (_request: unknown, response: ServerResponse, next: () => void): void => {
  setTimeout(() => response.writableEnded || response.end('late'), 50);
  next();
};

@Module({ controllers: [Rooms] })
class Answering implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(answerSoon, RateLimitMiddleware).forRoutes('*path');
  }
}

describe.each(ADAPTERS)('the middleware on $name', (adapter) => {
  it('a denial that comes when the request has been answered by somebody else harms nobody', async () => {
    gate = new Gate();
    const endpoints = { '/room/open': { limit: () => gate.limit().then(() => 0), window: '1d' } } as const;
    const served = await serve(adapter, { endpoints }, { imports: [Answering] });
    const asked = served.ask('/room/open');
    await expect.poll(() => gate.asked, { timeout: 10_000 }).toBe(1);
    expect(await (await asked).text()).toBe('late');
    gate.open();
    await expect.poll(() => served.app.get(RateLimiter).stats().denied, { timeout: 10_000 }).toBe(1);
    expect((await served.ask('/room/none')).status).toBe(404);
  });
});

describe.each(DOORS)('places on $name', (adapter) => {
  const settled = { timeout: 10_000 };

  it('go back when the client leaves while the middleware still asks, and nothing runs for it', async () => {
    gate = new Gate();
    const endpoints = { '/room/open': { ...ROOM, limit: () => gate.limit() } };
    const served = await serve(adapter, { endpoints }, { imports: [LimitedRooms] });
    const leaving = new AbortController();
    const asked = [0, 1].map(() => served.ask('/room/open', { signal: leaving.signal }).catch(() => 'left'));
    await expect.poll(() => gate.asked, settled).toBe(2);
    leaving.abort();
    expect(await Promise.all(asked)).toEqual(['left', 'left']);
    await new Promise((resolve) => setTimeout(resolve, 100));
    gate.open();
    await expect.poll(() => served.app.get(RateLimiter).stats().allowed, settled).toBe(2);
    await expect.poll(() => free(served), settled).toBe(2);
    expect(gate.entered).toBe(0);
    expect(await statuses(served, 1, '/room/open')).toEqual([200]);
    await expect.poll(() => free(served), settled).toBe(2);
  });

  it('go back when an interceptor further out gives up while the limits are asked', async () => {
    gate = new Gate();
    const served = await serve(adapter, {}, { controllers: [Rooms] });
    expect(await statuses(served, 2, '/room/hurried')).toEqual([500, 500]);
    gate.open();
    await expect.poll(() => served.app.get(RateLimiter).stats().allowed, settled).toBe(2);
    await expect.poll(() => free(served), settled).toBe(2);
    expect(gate.entered).toBe(0);
    expect(await statuses(served, 1, '/room/hurried')).toEqual([200]);
    await expect.poll(() => free(served), settled).toBe(2);
  });

  it('are held until the last byte of a streamed answer, or until its client leaves', async () => {
    const served = await serve(adapter, {}, { controllers: [Rooms] });
    source = new PassThrough();
    source.write('begun');
    const first = await served.ask('/room/stream');
    expect([first.status, await free(served)]).toEqual([200, 1]);
    source.end();
    await first.text();
    await expect.poll(() => free(served), settled).toBe(2);

    source = new PassThrough();
    source.write('begun');
    const leaving = new AbortController();
    await served.ask('/room/stream', { signal: leaving.signal });
    expect(await free(served)).toBe(1);
    leaving.abort();
    await expect.poll(() => free(served), settled).toBe(2);
    source.destroy();
  });
});
