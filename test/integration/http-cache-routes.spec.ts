/** Cached routes beside the same routes without a cache; whole controllers and applications; and what is refused. */
import {
  Controller,
  Get,
  Header,
  HttpCode,
  Next,
  Post,
  Redirect,
  Render,
  Res,
  Sse,
  StreamableFile,
  UseInterceptors,
  type INestApplication,
  type Type,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Cacheable, CacheInterceptor, CachePut, HttpCache, RedisModule } from '@anbar/nestjs-redis';
import { outcomes, stored, twice } from './asked-twice.js';
import { bootFailure } from './boot.js';
import { CORNERS, PLATFORMS, serve, type Answer, type Served } from './http-boot.js';

/** What is stored here is asked for again: on a busy machine too. */
const PATIENT = { timeout: '5s' } as const;

// -- the same bytes with a cache and without --------------------------------------------------------------------

const BODIES: Readonly<Record<string, () => unknown>> = {
  object: () => ({ title: 'کلیدر', pages: 2_836, tags: ['a', 'b'], none: null }),
  array: () => [1, 'two', { three: 3 }],
  text: () => 'متن, plain',
  empty: () => '',
  number: () => 42,
  boolean: () => false,
  null: () => null,
  undefined: () => undefined,
  buffer: () => Buffer.from([0, 255, 128, 10]),
};

function routeOf(body: () => unknown, cached: boolean): Type {
  @Controller()
  class Answers {
    @Get('answer')
    @Header('x-shop', 'yes')
    @Header('content-language', 'fa')
    answer(): unknown {
      return body();
    }

    @Get('typed')
    @HttpCode(203)
    @Header('content-type', 'application/vnd.shop+json')
    typed(): unknown {
      return { typed: true };
    }
  }
  if (!cached) return Answers;
  for (const name of ['answer', 'typed'] as const) {
    const descriptor = Object.getOwnPropertyDescriptor(Answers.prototype, name) as PropertyDescriptor;
    Cacheable({ ttl: '1m', headers: ['x-shop'] })(Answers.prototype, name, descriptor);
    Object.defineProperty(Answers.prototype, name, descriptor);
  }
  return Answers;
}

/** What a client sees of it, but for what names the moment or the cache. */
function seen({ status, text, headers }: Answer): object {
  const own = new Set([
    'date',
    'connection',
    'keep-alive',
    'etag',
    'age',
    'x-cache',
    'cache-status',
    'cache-control',
  ]);
  return { status, text, headers: Object.fromEntries([...headers].filter(([name]) => !own.has(name))) };
}

describe.each(PLATFORMS)('on %s', (platform) => {
  it.each(Object.entries(BODIES))(
    '%s: the same answer without a cache, on a miss and on a hit',
    async (_, body) => {
      const plain = await serve({ controllers: [routeOf(body, false)] }, { platform });
      const cached = await serve({ controllers: [routeOf(body, true)] }, { platform });
      for (const path of ['/answer', '/typed']) {
        const expected = seen(await plain.get(path));
        const miss = await cached.get(path);
        await stored();
        const hit = await cached.get(path);
        expect([miss, hit].map(({ headers }) => headers.get('x-cache'))).toEqual(['MISS', 'HIT']);
        expect(seen(miss)).toEqual(expected);
        expect(seen(hit)).toEqual(expected);
      }
    },
  );
});

// -- Fastify's own hooks ----------------------------------------------------------------------------------------

interface FastifyHooks {
  addHook(name: string, hook: (...args: never[]) => unknown): void;
}

describe('on fastify, hooks', () => {
  const withHook =
    (name: string, hook: (request: unknown, reply: unknown, payload: never) => Promise<unknown>) =>
    (app: INestApplication): void => {
      (app.getHttpAdapter().getInstance() as FastifyHooks).addHook(name, hook);
    };

  it('preSerialization hooks make part of the answer once, and a hit has what they made', async () => {
    let runs = 0;
    const prepare = withHook('preSerialization', async (_request, _reply, payload: object) => {
      runs += 1;
      await stored();
      return { data: payload, run: runs };
    });
    const shop = await serve(
      { controllers: [routeOf(() => ({ a: 1 }), true)] },
      { platform: 'fastify', prepare },
    );
    const miss = await shop.get('/answer');
    expect(miss.text).toBe('{"data":{"a":1},"run":1}');
    await stored();
    const hit = await shop.get('/answer');
    expect([hit.text, hit.headers.get('x-cache'), runs]).toEqual([miss.text, 'HIT', 1]);
    expect(hit.headers.get('content-type')).toBe('application/json; charset=utf-8');
  });

  it('an onSend hook sees hits as all answers', async () => {
    const prepare = withHook('onSend', (_request, _reply, payload: string) =>
      Promise.resolve(payload.replace('{', '{"sent":true,')),
    );
    const shop = await serve(
      { controllers: [routeOf(() => ({ a: 1 }), true)] },
      { platform: 'fastify', prepare },
    );
    const miss = await shop.get('/answer');
    await stored();
    const hit = await shop.get('/answer');
    expect([miss.text, hit.text]).toEqual(['{"sent":true,"a":1}', '{"sent":true,"a":1}']);
    expect(hit.headers.get('x-cache')).toBe('HIT');
  });

  it('a preSerialization hook that fails is an error, and nothing is stored', async () => {
    let broken = true;
    const prepare = withHook('preSerialization', (_request, _reply, payload: object) =>
      broken && !('statusCode' in payload) ? Promise.reject(new Error('no')) : Promise.resolve(payload),
    );
    const shop = await serve(
      { controllers: [routeOf(() => ({ a: 1 }), true)] },
      { platform: 'fastify', prepare },
    );
    expect((await shop.get('/answer')).status).toBe(500);
    broken = false;
    const answer = await shop.get('/answer');
    expect([answer.status, answer.headers.get('x-cache')]).toEqual([200, 'MISS']);
  });
});

// -- whole controllers and applications -------------------------------------------------------------------------

let runs: Record<string, number> = {};

function ran(name: string): object {
  runs[name] = (runs[name] ?? 0) + 1;
  return { [name]: runs[name] };
}

@Controller('catalog')
@HttpCache({ ttl: '1m' })
class Catalog {
  @Get('list')
  list(): object {
    return ran('list');
  }

  @Get('stock')
  @HttpCache(false)
  stock(): object {
    return ran('stock');
  }

  @Get('long')
  @HttpCache({ ttl: '1h', clientTtl: '30s' })
  long(): object {
    return ran('long');
  }

  @Get('decorated')
  @Cacheable({ ttl: '2h' })
  decorated(): object {
    return ran('decorated');
  }

  @Get('written')
  written(@Res() response: { send(body: unknown): void }): void {
    response.send(ran('written'));
  }

  @Get('moved')
  @Redirect('/elsewhere')
  moved(): void {
    ran('moved');
  }

  @Post('order')
  order(): object {
    return ran('order');
  }
}

@Controller('accounts')
@HttpCache(false)
class Accounts {
  @Get('mine')
  mine(): object {
    return ran('mine');
  }

  @Get('rates')
  @HttpCache({ ttl: '1m' })
  rates(): object {
    return ran('rates');
  }
}

@Controller('unmarked')
class Unmarked {
  @Get()
  all(): object {
    return ran('unmarked');
  }
}

describe.each(CORNERS)('CacheInterceptor on $platform, $place', ({ platform, place }) => {
  const outcomesOf = async (app: Served, path: string, method?: string): Promise<(string | null)[]> =>
    outcomes(await twice(app, path, {}, method));

  it('before the whole application: what is marked and what is not, but for what has opted out', async () => {
    runs = {};
    const providers = [{ provide: APP_INTERCEPTOR, useClass: CacheInterceptor }];
    const app = await serve(
      { controllers: [Catalog, Accounts, Unmarked], providers },
      { platform, place, options: PATIENT },
    );
    expect(await outcomesOf(app, '/catalog/list')).toEqual(['MISS', 'HIT']);
    expect(await outcomesOf(app, '/catalog/stock')).toEqual([null, null]);
    expect(await outcomesOf(app, '/catalog/decorated')).toEqual(['MISS', 'HIT']);
    expect(await outcomesOf(app, '/catalog/written')).toEqual([null, null]);
    expect(await outcomesOf(app, '/catalog/moved')).toEqual([null, null]);
    expect(await outcomesOf(app, '/catalog/order', 'POST')).toEqual([null, null]);
    expect(await outcomesOf(app, '/accounts/mine')).toEqual([null, null]);
    expect(await outcomesOf(app, '/accounts/rates')).toEqual(['MISS', 'HIT']);
    expect(await outcomesOf(app, '/unmarked')).toEqual(['MISS', 'HIT']);
    expect(runs).toEqual({
      list: 1,
      stock: 2,
      decorated: 1,
      written: 2,
      moved: 2,
      order: 2,
      mine: 2,
      rates: 1,
      unmarked: 1,
    });
  });

  it('what stands on the method counts before what stands on the class', async () => {
    runs = {};
    @UseInterceptors(CacheInterceptor)
    class Marked extends Catalog {}
    Controller('marked')(Marked);
    HttpCache({ ttl: '1m' })(Marked);
    const app = await serve({ controllers: [Marked] }, { platform, place, options: PATIENT });
    expect((await app.get('/marked/list')).headers.get('cache-status')).toMatch(/; stored; ttl=60$/u);
    const long = await app.get('/marked/long');
    expect(long.headers.get('cache-status')).toMatch(/; stored; ttl=3600$/u);
    expect(long.headers.get('cache-control')).toBe('private, max-age=30');
    expect((await app.get('/marked/decorated')).headers.get('cache-status')).toMatch(/; stored; ttl=7200$/u);
  });
});

// -- refused at boot --------------------------------------------------------------------------------------------

function controllerWith(...decorators: MethodDecorator[]): Type {
  class Refused {
    route(): unknown {
      return of({});
    }
  }
  const descriptor = Object.getOwnPropertyDescriptor(Refused.prototype, 'route') as PropertyDescriptor;
  Cacheable()(Refused.prototype, 'route', descriptor);
  Object.defineProperty(Refused.prototype, 'route', descriptor);
  for (const decorate of decorators) decorate(Refused.prototype, 'route', descriptor);
  Controller()(Refused);
  return Refused;
}

const param =
  (decorate: ParameterDecorator): MethodDecorator =>
  (target, name) => {
    decorate(target, name, 0);
  };

describe('refused at boot, by its name', () => {
  it.each<[string, MethodDecorator[], string]>([
    ['@Sse', [Sse('events')], 'is also @Sse, whose answers are not kept'],
    ['@Redirect', [Get(), Redirect('/')], 'is also @Redirect, whose answers are not kept'],
    ['@Render', [Get(), Render('page')], 'is also @Render, whose answers are not kept'],
    ['@Res', [Get(), param(Res())], 'writes its answer itself'],
    ['@Next', [Get(), param(Next())], 'writes its answer itself'],
    ['@Post', [Post()], 'answers POST, and only GET and HEAD are cached'],
  ])('%s', async (_, decorators, problem) => {
    const imports = [RedisModule.forRoot({ topology: 'embedded' })];
    const error = await bootFailure({ imports, controllers: [controllerWith(...decorators)] });
    expect(error).toMatchObject({ code: 'CACHEABLE_METHOD' });
    expect(error.message).toContain(`Refused.route ${problem}`);
  });

  it('@CachePut on a route', async () => {
    @Controller()
    class Put {
      @Get()
      @CachePut({ key: () => ['put'] })
      async route(): Promise<object> {
        return {};
      }
    }
    const imports = [RedisModule.forRoot({ topology: 'embedded' })];
    const error = await bootFailure({ imports, controllers: [Put] });
    expect(error.message).toContain('Put.route is a route, and @CachePut keeps results of methods');
  });
});

// -- refused by request, and said once --------------------------------------------------------------------------

interface Passing {
  header(name: string, value: string): unknown;
}

@Controller('refused')
class Refusals {
  @Get('open')
  @Cacheable({ ttl: '1m' })
  open(): object {
    return {};
  }

  @Get('mine')
  @Cacheable({ ttl: '1m', by: 'user' })
  mine(): object {
    return {};
  }

  @Get('tenant')
  @Cacheable({ ttl: '1m', cache: 'tenants' })
  tenant(): object {
    return {};
  }

  @Get('cookie')
  @Header('set-cookie', 'a=b')
  @Cacheable({ ttl: '1m' })
  cookie(): object {
    return {};
  }

  @Get('vary')
  @Cacheable({ ttl: '1m' })
  vary(@Res({ passthrough: true }) response: Passing): object {
    response.header('vary', 'x-mood');
    return {};
  }

  @Get('encoded')
  @Header('content-encoding', 'x-shop')
  @Cacheable({ ttl: '1m' })
  encoded(): string {
    return 'in a coding of our own';
  }

  @Get('large')
  @Cacheable({ ttl: '1m' })
  large(): string {
    return 'x'.repeat(2_000);
  }

  @Get('stream')
  @Cacheable({ ttl: '1m' })
  stream(): StreamableFile {
    return new StreamableFile(Buffer.from('stream'));
  }

  @Get('status')
  @HttpCode(202)
  @Cacheable({ ttl: '1m' })
  status(): object {
    return {};
  }

  @Get('secret')
  @Header('cache-control', 'no-store')
  @Cacheable({ ttl: '1m' })
  secret(): object {
    return {};
  }
}

describe.each(PLATFORMS)('refused on %s', (platform) => {
  it.each<[reason: string, path: string, headers: Record<string, string>, logged: RegExp | undefined]>([
    ['credentials', 'open', { authorization: 'Bearer x' }, /by: 'user'/u],
    ['no-principal', 'mine', { cookie: 'sid=1' }, /httpCache\.principal/u],
    ['no-context', 'tenant', {}, /a context this request does not have/u],
    ['set-cookie', 'cookie', {}, /meant for one client/u],
    ['answer-vary', 'vary', {}, /`vary` does not name/u],
    ['content-encoding', 'encoded', {}, /accept-encoding/u],
    ['too-large', 'large', {}, /httpCache\.maxBytes/u],
    ['stream', 'stream', {}, /a stream/u],
    // What the application or the client has asked for is no news to anybody.
    ['status', 'status', {}, undefined],
    ['answer-no-store', 'secret', {}, undefined],
    ['override-header', 'open', { 'x-http-method-override': 'DELETE' }, undefined],
    ['precondition', 'open', { 'if-match': '"a"' }, undefined],
  ])('%s: nothing is stored, and the log says so once', async (reason, path, headers, logged) => {
    const options = {
      httpCache: { maxBytes: 1_000 },
      contexts: { tenant: () => undefined },
      caches: { tenants: { contexts: ['tenant'] } },
    };
    const app = await serve({ controllers: [Refusals] }, { platform, options });
    for (let i = 0; i < 3; i += 1) {
      const answer = await app.get(`/refused/${path}`, headers);
      expect(answer.status).toBeLessThan(300);
      expect(answer.headers.get('x-cache')).not.toBe('HIT');
      if (reason !== 'stream') expect(answer.headers.get('cache-status')).toContain(`detail=${reason}`);
      await stored();
    }
    const lines = logged === undefined ? [] : [expect.stringMatching(logged)];
    await expect.poll(() => app.warnings).toEqual(lines);
    if (logged !== undefined)
      expect(app.warnings[0]).toMatch(new RegExp(`^Refusals\\.${path} is not cached \\(${reason}\\)`, 'u'));
  });
});
