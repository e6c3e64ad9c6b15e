/** `answerAtDoor`: what runs for a hit and what does not, and what keeps the door shut. */
import {
  Controller,
  Get,
  Header,
  Module,
  Param,
  Post,
  Req,
  RequestMethod,
  UseGuards,
  UseInterceptors,
  VersioningType,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
  type MiddlewareConsumer,
  type NestMiddleware,
  type Type,
  type NestInterceptor,
} from '@nestjs/common';
import { RouteConstraints } from '@nestjs/platform-fastify';
import {
  request as send,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { answerAtDoor, Cacheable, CacheEvict, CacheInterceptor, HttpCache } from '@anbar/nestjs-redis';
import type { RedisModuleOptions } from '../../libs/redis/src/redis.options.js';
import { PLACES, PLATFORMS, serve, type Place, type Platform, type Served } from './http-boot.js';

let made = 0;
let guarded = 0;
let intercepted = 0;

class Counting implements CanActivate {
  canActivate(): boolean {
    guarded += 1;
    return true;
  }
}

class Watching implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): ReturnType<CallHandler['handle']> {
    intercepted += 1;
    return next.handle();
  }
}

@Controller('shop')
class Shop {
  @Get('list')
  @UseInterceptors(Watching)
  @Cacheable({ ttl: '1m', atDoor: true, tags: ['shop'] })
  list(): object {
    made += 1;
    return { made };
  }

  @Get('item/:id')
  @Cacheable({ ttl: '1m', atDoor: true, vary: ['accept-language'], query: ['page'] })
  item(@Param('id') id: string, @Req() request: IncomingMessage): object {
    made += 1;
    return { id, made, language: request.headers['accept-language'] };
  }

  @Get('plain')
  @Cacheable({ ttl: '1m' })
  plain(): object {
    made += 1;
    return { made };
  }

  @Get('everyone')
  @Cacheable({ ttl: '1m', atDoor: true, by: 'everyone' })
  everyone(): object {
    made += 1;
    return { made };
  }

  @Get('guarded')
  @UseGuards(Counting)
  @Cacheable({ ttl: '1m', atDoor: true })
  guarded(): object {
    made += 1;
    return { made };
  }

  @Get('tenant')
  @Cacheable({ ttl: '1m', atDoor: true, cache: 'tenants' })
  tenant(): object {
    made += 1;
    return { made };
  }

  @Get('brief')
  @Cacheable({ ttl: 1, stale: '1m', atDoor: true })
  brief(): object {
    made += 1;
    return { made };
  }

  @Post('change')
  @CacheEvict({ tags: () => ['shop'] })
  change(): object {
    return {};
  }
}

@Controller('all')
@UseInterceptors(CacheInterceptor)
@HttpCache({ ttl: '1m', atDoor: true })
class Whole {
  @Get('text')
  @Header('content-language', 'fa')
  text(): string {
    made += 1;
    return `made ${made}`;
  }
}

/** Chosen between by the host, which Nest does on Express and Fastify does itself. */
const TWINS_BY_HOST: Readonly<Record<Platform, Type[]>> = {
  express: [
    twin({ controller: Controller({ host: 'open.example', path: 'twin' }), atDoor: true }),
    twin({ controller: Controller({ host: 'closed.example', path: 'twin' }), guards: [UseGuards(Counting)] }),
  ],
  fastify: twinsBy({ host: 'open.example' }, { host: 'closed.example' }),
};

/** Chosen between by a header that no key knows. */
const PLANS = {
  name: 'plan',
  storage: () => {
    const handlers = new Map<string, never>();
    return {
      get: (plan: string) => handlers.get(plan) ?? null,
      set: (plan: string, handler: never) => handlers.set(plan, handler),
    };
  },
  deriveConstraint: ({ headers }: IncomingMessage) => headers['x-plan'],
};

type Constraint = Parameters<typeof RouteConstraints>[0];

function twinsBy(ofOpen: Constraint, ofClosed: Constraint): Type[] {
  return [
    twin({ controller: Controller('twin'), atDoor: true, route: RouteConstraints(ofOpen) }),
    twin({
      controller: Controller('twin'),
      guards: [UseGuards(Counting)],
      route: RouteConstraints(ofClosed),
    }),
  ];
}

interface Twins {
  readonly controller: ClassDecorator;
  readonly atDoor?: boolean;
  readonly guards?: readonly ClassDecorator[];
  readonly route?: MethodDecorator;
}

/** Controllers that have class and method name in common. */
function twin({ controller, atDoor = false, guards = [], route = () => undefined }: Twins): Type {
  @controller
  class Twin {
    @Get('list')
    @route
    @Cacheable({ ttl: '1m', atDoor })
    list(): object {
      made += 1;
      return { made };
    }
  }
  for (const guard of guards) guard(Twin);
  return Twin;
}

/** Of two routes at one URL that headers choose between, the one is answered at the door and the other's guard asked. */
async function expectAsked(
  { url }: Served,
  toOpen: OutgoingHttpHeaders,
  toClosed: OutgoingHttpHeaders,
): Promise<void> {
  for (let i = 0; i < 5; i += 1) {
    expect(await statusOf(url, '/twin/list', toClosed)).toBe(200);
    expect(await statusOf(url, '/twin/list', toOpen)).toBe(200);
    await wait(20);
  }
  const before = { made, guarded };
  await statusOf(url, '/twin/list', toOpen);
  await statusOf(url, '/twin/list', toClosed);
  expect({ made, guarded }).toEqual({ made: before.made, guarded: before.guarded + 1 });
}

/** With a head that `fetch` does not let through. */
function statusOf(origin: string, path: string, headers: OutgoingHttpHeaders): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const { port, hostname: host } = new URL(origin);
    const sent = send({ port, host, path, headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    });
    sent.once('error', reject).end();
  });
}

interface FastifyLike {
  addConstraintStrategy(strategy: typeof PLANS): void;
  addHook(
    name: 'preHandler',
    hook: (
      request: { url: string },
      reply: { header(name: string, value: string): void },
      done: () => void,
    ) => void,
  ): void;
}

/** Sees every request that gets past the door, and tells so. */
function behind(app: INestApplication): readonly string[] {
  const seen: string[] = [];
  const adapter = app.getHttpAdapter();
  if (adapter.getType() === 'fastify') {
    (adapter.getInstance() as FastifyLike).addHook('preHandler', (request, reply, done) => {
      seen.push(request.url);
      reply.header('x-behind', '1');
      done();
    });
    return seen;
  }
  app.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
    seen.push(request.url ?? '');
    response.setHeader('x-behind', '1');
    next();
  });
  return seen;
}

async function open(
  where: { platform: Platform; place?: Place; options?: RedisModuleOptions },
  prepare: (app: INestApplication) => void = (app) => answerAtDoor(app),
): Promise<Served & { readonly seen: readonly string[] }> {
  let seen: readonly string[] = [];
  const served = await serve(
    { controllers: [Shop, Whole] },
    {
      ...where,
      prepare: (app) => {
        prepare(app);
        seen = behind(app);
      },
    },
  );
  return { ...served, seen };
}

/** Until the near cache holds it; the first hit may still come from Redis. */
async function warm(served: Served, path: string, headers: Record<string, string> = {}): Promise<string> {
  await served.get(path, headers);
  for (let i = 0; ; i += 1) {
    const answer = await served.get(path, headers);
    if (answer.headers.get('cache-status')?.includes('detail=l1') === true || i === 50) return answer.text;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe.each(PLATFORMS)('at the door of %s', (platform) => {
  it.each(PLACES)('a hit runs nothing that comes later (%s)', async (place) => {
    const served = await open({ platform, place });
    const text = await warm(served, '/shop/list');
    const [before, ran] = [served.seen.length, intercepted];
    const hit = await served.get('/shop/list');
    expect(hit.status).toBe(200);
    expect(hit.text).toBe(text);
    expect(hit.headers.get('x-cache')).toBe('HIT');
    expect(hit.headers.get('content-type')).toMatch(/^application\/json/u);
    expect(hit.headers.get('content-length')).toBe(String(text.length));
    expect(hit.headers.get('x-behind')).toBeNull();
    expect(served.seen).toHaveLength(before);
    expect(intercepted).toBe(ran);
    const etag = hit.headers.get('etag') ?? '';
    const unchanged = await served.get('/shop/list', { 'if-none-match': etag });
    expect([unchanged.status, unchanged.text]).toEqual([304, '']);
    expect(unchanged.headers.get('etag')).toBe(etag);
    expect(served.seen).toHaveLength(before);
  });

  it.each(PLACES)('what is invalidated is made anew (%s)', async (place) => {
    const served = await open({ platform, place });
    const text = await warm(served, '/shop/list');
    await served.get('/shop/change', {}, 'POST');
    const next = await served.get('/shop/list');
    expect(next.headers.get('x-cache')).toBe('MISS');
    expect(next.text).not.toBe(text);
  });

  it('each language and each page is an answer of its own, and an unlisted parameter goes the long way', async () => {
    const served = await open({ platform });
    const fa = await warm(served, '/shop/item/1', { 'accept-language': 'fa' });
    const en = await warm(served, '/shop/item/1', { 'accept-language': 'en' });
    const other = await warm(served, '/shop/item/2', { 'accept-language': 'fa' });
    const before = served.seen.length;
    expect((await served.get('/shop/item/1', { 'accept-language': 'fa' })).text).toBe(fa);
    expect((await served.get('/shop/item/1', { 'accept-language': 'en' })).text).toBe(en);
    expect((await served.get('/shop/item/2', { 'accept-language': 'fa' })).text).toBe(other);
    expect(new Set([fa, en, other]).size).toBe(3);
    expect(served.seen).toHaveLength(before);
    await served.get('/shop/item/1?evil=1', { 'accept-language': 'fa' });
    await served.get('/shop/item/1?evil=1', { 'accept-language': 'fa' });
    expect(served.seen).toHaveLength(before + 2);
  });

  it('a request with credentials goes the long way, unless the answer is the same for everyone', async () => {
    const served = await open({ platform });
    await warm(served, '/shop/list');
    const everyone = await warm(served, '/shop/everyone');
    const before = served.seen.length;
    const token = { authorization: 'Bearer ann' };
    expect((await served.get('/shop/list', token)).headers.get('x-cache')).toBe('BYPASS');
    expect((await served.get('/shop/list', { cookie: 'sid=1' })).headers.get('x-cache')).toBe('BYPASS');
    expect(served.seen).toHaveLength(before + 2);
    expect((await served.get('/shop/everyone', token)).text).toBe(everyone);
    expect(served.seen).toHaveLength(before + 2);
  });

  it('so do other methods, overrides, preconditions and requests that may leave no trace', async () => {
    const served = await open({ platform });
    await warm(served, '/shop/list');
    let before = served.seen.length;
    const strange = [
      { 'x-http-method-override': 'DELETE' },
      { 'if-match': '"another"' },
      { 'cache-control': 'no-store' },
    ];
    for (const headers of strange) {
      await served.get('/shop/list', headers);
      expect(served.seen, JSON.stringify(headers)).toHaveLength((before += 1));
    }
    const head = await served.get('/shop/list', {}, 'HEAD');
    expect([head.status, head.text]).toEqual([200, '']);
    expect(served.seen).toHaveLength(before + 1);
  });

  it('routes that do not ask for it go the long way, hit or not', async () => {
    const served = await open({ platform });
    await warm(served, '/shop/plain');
    const before = served.seen.length;
    await served.get('/shop/plain');
    expect(served.seen).toHaveLength(before + 1);
  });

  it('the answers of whole controllers are given there, with their headers', async () => {
    const served = await open({ platform });
    const text = await warm(served, '/all/text');
    const before = served.seen.length;
    const hit = await served.get('/all/text');
    expect(hit.text).toBe(text);
    expect(hit.headers.get('content-language')).toBe('fa');
    expect(hit.headers.get('content-type')).toMatch(/^text\/(?:html|plain); charset=utf-8/u);
    expect(served.seen).toHaveLength(before);
  });

  it('what is past its time is made anew behind its readers, past the door', async () => {
    const served = await open({ platform });
    const first = await warm(served, '/shop/brief');
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const stale = await served.get('/shop/brief');
    expect([stale.text, stale.headers.get('x-cache')]).toEqual([first, 'STALE']);
    await expect.poll(async () => (await served.get('/shop/brief')).text, { timeout: 5_000 }).not.toBe(first);
  });

  it('what was registered before the door runs for every request', async () => {
    const served = await open({ platform }, (app) => {
      app.enableCors({ origin: true });
      app.use((_request: IncomingMessage, response: ServerResponse, next: () => void) => {
        response.setHeader('x-before', '1');
        next();
      });
      answerAtDoor(app);
    });
    await warm(served, '/shop/list', { origin: 'https://shop.example' });
    const before = served.seen.length;
    const hit = await served.get('/shop/list', { origin: 'https://shop.example' });
    expect(served.seen).toHaveLength(before);
    expect(hit.headers.get('access-control-allow-origin')).toBe('https://shop.example');
    expect(hit.headers.get('vary')?.toLowerCase()).toContain('origin');
    expect(hit.headers.get('x-before')).toBe('1');
  });
});

describe.each(PLATFORMS)('the door stays shut on %s', (platform) => {
  it('for a route that is guarded, until the guard is named', async () => {
    const shut = await open({ platform });
    await warm(shut, '/shop/guarded');
    let asked = guarded;
    await shut.get('/shop/guarded');
    expect(guarded).toBe(asked + 1);
    expect(shut.warnings.filter((line) => line.includes('Shop.guarded'))).toEqual([
      expect.stringContaining('Counting would not be asked'),
    ]);
    const passed = await open({ platform }, (app) => answerAtDoor(app, { past: [Counting] }));
    await warm(passed, '/shop/guarded');
    asked = guarded;
    await passed.get('/shop/guarded');
    expect(guarded).toBe(asked);
  });

  it('for middleware of modules that would not run, unless it is named; on Fastify it runs', async () => {
    let ran = 0;
    class Following implements NestMiddleware {
      use(_request: unknown, _response: unknown, next: () => void): void {
        ran += 1;
        next();
      }
    }
    class Elsewhere extends Following {}
    @Module({})
    class Followed {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(Following).forRoutes('*path');
        consumer
          .apply(Elsewhere)
          .forRoutes('account/*path', { path: 'shop/lists', method: RequestMethod.GET });
      }
    }
    const followed = async (prepare: (app: INestApplication) => void): Promise<Served> =>
      serve({ controllers: [Shop], imports: [Followed] }, { platform, prepare });
    const served = await followed((app) => answerAtDoor(app));
    await warm(served, '/shop/list');
    const before = ran;
    expect((await served.get('/shop/list')).headers.get('x-cache')).toBe('HIT');
    expect(ran).toBe(before + 1);
    const warned = served.warnings.filter((line) => line.includes('Following would not be asked'));
    expect(warned).toHaveLength(platform === 'express' ? 1 : 0);
    const passed = await followed((app) => answerAtDoor(app, { past: [Following] }));
    await warm(passed, '/shop/list');
    const [counted, seen] = [ran, intercepted];
    await passed.get('/shop/list');
    expect(ran).toBe(platform === 'express' ? counted : counted + 1);
    expect(intercepted).toBe(seen);
  });

  it('for a guarded route whose class and method are called like those of one that is not', async () => {
    const controllers = [
      twin({ controller: Controller('open'), atDoor: true }),
      twin({ controller: Controller('closed'), atDoor: true, guards: [UseGuards(Counting)] }),
    ];
    const served = await serve({ controllers }, { platform, prepare: (app) => answerAtDoor(app) });
    await warm(served, '/open/list');
    await warm(served, '/closed/list');
    const asked = guarded;
    await served.get('/closed/list');
    expect(guarded).toBe(asked + 1);
  });

  it('for a guarded route on another host, though it is called alike and has the same path', async () => {
    const served = await serve(
      { controllers: TWINS_BY_HOST[platform] },
      { platform, prepare: (app) => answerAtDoor(app) },
    );
    await expectAsked(served, { host: 'open.example' }, { host: 'closed.example' });
  });

  it('for all routes, when a guard stands before the whole application', async () => {
    const served = await open({ platform }, (app) => {
      app.useGlobalGuards(new Counting());
      answerAtDoor(app);
    });
    await warm(served, '/shop/list');
    const asked = guarded;
    await served.get('/shop/list');
    expect(guarded).toBe(asked + 1);
  });

  it('for a cache that is kept by a context', async () => {
    const options = {
      contexts: { tenant: () => 'one' },
      caches: { tenants: { contexts: ['tenant'] } },
    };
    const served = await open({ platform, options });
    await warm(served, '/shop/tenant');
    const before = served.seen.length;
    await served.get('/shop/tenant');
    expect(served.seen).toHaveLength(before + 1);
    expect(served.warnings.some((line) => line.includes('kept by a context'))).toBe(true);
  });

  it('when the version of a route is not in its URL', async () => {
    const served = await open({ platform }, (app) => {
      app.enableVersioning({ type: VersioningType.HEADER, header: 'x-version', defaultVersion: '1' });
      answerAtDoor(app);
    });
    const version = { 'x-version': '1' };
    await warm(served, '/shop/list', version);
    const before = served.seen.length;
    expect((await served.get('/shop/list', version)).headers.get('x-cache')).toBe('HIT');
    expect(served.seen).toHaveLength(before + 1);
    expect(served.warnings.some((line) => line.includes('not in its URL'))).toBe(true);
  });

  it('while nobody has opened it, and the log says how', async () => {
    const served = await open({ platform }, () => undefined);
    await warm(served, '/shop/list');
    const before = served.seen.length;
    await served.get('/shop/list');
    expect(served.seen).toHaveLength(before + 1);
    expect(served.warnings.filter((line) => line.includes('answerAtDoor(app)'))).not.toHaveLength(0);
  });

  it('for good, once the application stands', async () => {
    const { app } = await open({ platform });
    expect(() => answerAtDoor(app)).toThrow(expect.objectContaining({ code: 'INVALID_HTTP_CACHE_OPTIONS' }));
  });
});

it('stays shut on express for URLs that were rewritten on their way', async () => {
  const served = await open({ platform: 'express' }, (app) => {
    app.use((request: IncomingMessage, _response: ServerResponse, next: () => void) => {
      if (request.headers['x-mobile'] !== undefined) request.url = '/shop/everyone';
      next();
    });
    answerAtDoor(app);
  });
  await warm(served, '/shop/list');
  const before = served.seen.length;
  await served.get('/shop/list', { 'x-mobile': '1' });
  expect(served.seen).toHaveLength(before + 1);
  const hit = await served.get('/shop/list');
  expect(served.seen).toHaveLength(before + 1);
  expect(hit.headers.get('x-cache')).toBe('HIT');
});

it.each([{ by: 'user' as const }, { by: () => 'ann' }, { key: () => 'one' }, { when: () => true }])(
  'is refused where it stands together with %o',
  (other) => {
    expect(() => Cacheable({ ttl: '1m', atDoor: true, ...other })).toThrow(
      expect.objectContaining({ code: 'INVALID_CACHE_OPTIONS' }),
    );
  },
);

it('is refused for whole controllers, too', () => {
  expect(() => HttpCache({ atDoor: true, by: 'user' })).toThrow(
    expect.objectContaining({ code: 'INVALID_CACHE_OPTIONS' }),
  );
});

it('what stands behind one constraint of Fastify is not answered behind another', async () => {
  const served = await serve(
    { controllers: twinsBy({ plan: 'open' }, { plan: 'closed' }) },
    {
      platform: 'fastify',
      prepare: (app) => (app.getHttpAdapter().getInstance() as FastifyLike).addConstraintStrategy(PLANS),
    },
  );
  const texts: string[] = [];
  for (const plan of ['closed', 'open', 'closed', 'open']) {
    texts.push((await served.get('/twin/list', { 'x-plan': plan })).text);
    await wait(20);
  }
  expect(texts.slice(2)).toEqual(texts.slice(0, 2));
  expect(texts[0]).not.toBe(texts[1]);
});

it('the door stays shut for a guarded route that Fastify chooses by a header of its own', async () => {
  const served = await serve(
    { controllers: twinsBy({ plan: 'open' }, { plan: 'closed' }) },
    {
      platform: 'fastify',
      prepare: (app) => {
        (app.getHttpAdapter().getInstance() as FastifyLike).addConstraintStrategy(PLANS);
        answerAtDoor(app);
      },
    },
  );
  await expectAsked(served, { 'x-plan': 'open' }, { 'x-plan': 'closed' });
});

it('the door stays shut where two routes that may be answered there have one URL', async () => {
  const watched = (plan: string): Type =>
    twin({
      controller: Controller('twin'),
      atDoor: true,
      guards: [UseInterceptors(Watching)],
      route: RouteConstraints({ plan }),
    });
  const served = await serve(
    { controllers: [watched('open'), watched('closed')] },
    {
      platform: 'fastify',
      prepare: (app) => {
        (app.getHttpAdapter().getInstance() as FastifyLike).addConstraintStrategy(PLANS);
        answerAtDoor(app);
      },
    },
  );
  const ask = (plan: string): Promise<unknown> => served.get('/twin/list', { 'x-plan': plan });
  for (const plan of ['open', 'closed', 'open', 'closed']) {
    await ask(plan);
    await wait(20);
  }
  const before = intercepted;
  await ask('open');
  await ask('closed');
  expect(intercepted).toBe(before + 2);
  expect(served.warnings.join()).toContain('another route answers at one of its URLs');
});
