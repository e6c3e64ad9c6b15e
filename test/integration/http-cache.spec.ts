/** Cached answers of routes, by the sections of the RFCs that say how a cache behaves. */
import {
  Controller,
  Get,
  Header,
  HttpCode,
  HttpException,
  NotFoundException,
  Param,
  ParseIntPipe,
  Query,
  Req,
  Res,
  StreamableFile,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { map, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Cacheable, CacheEvict } from '@anbar/nestjs-redis';
import type { RedisModuleOptions } from '../../libs/redis/src/redis.options.js';
import { stored, twice } from './asked-twice.js';
import { CORNERS, serve, type Served } from './http-boot.js';

interface Asking {
  readonly headers: Record<string, string | undefined>;
  user?: { id: string };
}

class Door implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Asking>();
    const token = request.headers['authorization'];
    if (token !== undefined && token !== 'Bearer wrong') request.user = { id: token.slice(7) };
    return token !== 'Bearer wrong';
  }
}

class Wrap implements NestInterceptor {
  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((data: unknown) => ({ wrapped: data })));
  }
}

let runs: Record<string, number> = {};
function ran(name: string): number {
  runs[name] = (runs[name] ?? 0) + 1;
  return runs[name];
}

let broken = false;

@Controller('shop')
@UseGuards(Door)
class Shop {
  @Get('list')
  @Cacheable({ ttl: '1m', tags: ['list'] })
  list(@Query() query: Record<string, unknown>): object {
    return { run: ran('list'), query, text: 'کتاب' };
  }

  @Get('book/:id')
  @Cacheable({ ttl: '1m', tags: (id: number) => [`book:${id}`] })
  book(@Param('id', ParseIntPipe) id: number): object {
    if (id === 404) throw new NotFoundException();
    return { run: ran('book'), id };
  }

  @Get('book/:id/sell')
  @CacheEvict({ tags: (id: string) => [`book:${id}`] })
  sell(@Param('id') id: string): object {
    return { sold: id };
  }

  @Get('made')
  @HttpCode(203)
  @Header('content-language', 'fa')
  @Header('x-shop', 'yes')
  @Cacheable({ ttl: '1m' })
  made(): string {
    return `made ${ran('made')}`;
  }

  @Get('wrapped')
  @UseInterceptors(Wrap)
  @Cacheable({ ttl: '1m' })
  wrapped(): object {
    return { run: ran('wrapped') };
  }

  @Get('mine')
  @Cacheable({ ttl: '1m', by: 'user' })
  mine(@Req() request: Asking): object {
    return { run: ran('mine'), user: request.user?.id ?? null };
  }

  @Get('open')
  @Cacheable({ ttl: '1m', by: 'everyone' })
  open(): object {
    return { run: ran('open') };
  }

  @Get('spoken')
  @Cacheable({ ttl: '1m', vary: ['Accept-Language'] })
  spoken(@Req() request: Asking): object {
    return { run: ran('spoken'), language: request.headers['accept-language'] };
  }

  @Get('cookie')
  @Header('set-cookie', 'a=b')
  @Cacheable({ ttl: '1m' })
  cookie(): object {
    return { run: ran('cookie') };
  }

  @Get('secret')
  @Header('cache-control', 'no-store')
  @Cacheable({ ttl: '1m' })
  secret(): object {
    return { run: ran('secret') };
  }

  @Get('private')
  @Header('cache-control', 'private, max-age=5')
  @Cacheable({ ttl: '1m' })
  private(): object {
    return { run: ran('private') };
  }

  @Get('varied')
  @Cacheable({ ttl: '1m' })
  varied(@Res({ passthrough: true }) response: { header(name: string, value: string): unknown }): object {
    response.header('vary', 'x-mood');
    return { run: ran('varied') };
  }

  @Get('stream')
  @Cacheable({ ttl: '1m' })
  stream(): StreamableFile {
    return new StreamableFile(Buffer.from(`stream ${ran('stream')}`));
  }

  @Get('teapot')
  @Cacheable({ ttl: '1m' })
  teapot(): object {
    throw new HttpException({ run: ran('teapot') }, 418);
  }

  @Get('pages')
  @Cacheable({ ttl: '1m', query: ['page'] })
  pages(@Query() query: Record<string, unknown>): object {
    return { run: ran('pages'), query };
  }

  @Get('shaky')
  @Cacheable({ ttl: '1ms', stale: '0s', staleOnError: '1m' })
  shaky(): object {
    ran('shaky');
    if (broken) throw new Error('the database is away');
    return { fine: true };
  }

  @Get('slow')
  @Cacheable({ ttl: '1m' })
  async slow(): Promise<object> {
    const run = ran('slow');
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { run };
  }

  @Get('stale')
  @UseInterceptors(Wrap)
  @Cacheable({ ttl: '250ms', stale: '1m' })
  async stale(): Promise<object> {
    const run = ran('stale');
    await new Promise((resolve) => setTimeout(resolve, 30));
    return { run };
  }
}

describe.each(CORNERS)('on $platform, $place', ({ platform, place }) => {
  const boot = (options: RedisModuleOptions = {}): Promise<Served> => {
    runs = {};
    broken = false;
    // What is stored here is asked for again: on a busy machine too.
    return serve({ controllers: [Shop] }, { platform, place, options: { timeout: '5s', ...options } });
  };

  it('RFC 9111, 4: an answer is reused, byte by byte, without the handler', async () => {
    const shop = await boot();
    const [first, second] = await twice(shop, '/shop/list?a=1');
    expect(second.text).toBe(first.text);
    expect(runs['list']).toBe(1);
    expect(second.headers.get('content-type')).toBe(first.headers.get('content-type'));
    expect(second.headers.get('content-length')).toBe(String(Buffer.byteLength(first.text)));
    expect([first.headers.get('x-cache'), second.headers.get('x-cache')]).toEqual(['MISS', 'HIT']);
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'));
  });

  it('RFC 9111, 2: the order of parameters is no other resource, the order within one is', async () => {
    const shop = await boot();
    await twice(shop, '/shop/list?a=1&b=2');
    expect((await shop.get('/shop/list?b=2&a=1')).headers.get('x-cache')).toBe('HIT');
    await twice(shop, '/shop/list?a=1&a=2');
    expect((await shop.get('/shop/list?a=2&a=1')).headers.get('x-cache')).toBe('MISS');
  });

  it('RFC 9110, 8.8.3 and 13.1.2: a strong tag, and 304 without the handler', async () => {
    const shop = await boot();
    const [first] = await twice(shop, '/shop/list');
    const etag = first.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[\w-]{27}"$/u);
    for (const tags of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await shop.get('/shop/list', { 'if-none-match': tags });
      expect([answer.status, answer.text]).toEqual([304, '']);
      expect(answer.headers.get('etag')).toBe(etag);
      expect(answer.headers.get('cache-control')).toBe('private, no-cache');
      expect(answer.headers.get('content-type')).toBeNull();
    }
    expect((await shop.get('/shop/list', { 'if-none-match': '"other"' })).status).toBe(200);
    expect(runs['list']).toBe(1);
  });

  it('RFC 9110, 9.3.2: HEAD is answered from a stored GET, and stores nothing itself', async () => {
    const shop = await boot();
    const cold = await shop.get('/shop/list', {}, 'HEAD');
    expect([cold.status, cold.text, cold.headers.get('x-cache')]).toEqual([200, '', 'MISS']);
    await stored();
    const [first] = await twice(shop, '/shop/list');
    expect(first.headers.get('x-cache')).toBe('MISS');
    const warm = await shop.get('/shop/list', {}, 'HEAD');
    expect([warm.status, warm.text, warm.headers.get('x-cache')]).toEqual([200, '', 'HIT']);
    expect(warm.headers.get('content-length')).toBe(first.headers.get('content-length'));
    expect(warm.headers.get('etag')).toBe(first.headers.get('etag'));
  });

  it('RFC 9111, 5.1 and RFC 9211, 2: the age, and what the cache did', async () => {
    const shop = await boot();
    const [first, second] = await twice(shop, '/shop/list');
    expect(first.headers.get('cache-status')).toBe('"anbar"; fwd=uri-miss; stored; ttl=60');
    expect(second.headers.get('cache-status')).toMatch(/^"anbar"; hit; ttl=(?:60|59); detail=(?:l1|l2)$/u);
    expect(first.headers.get('age')).toBeNull();
    expect(second.headers.get('age')).toMatch(/^[01]$/u);
  });

  it('RFC 9111, 5.2.2.7: private by default, and to be asked about before each use', async () => {
    const shop = await boot();
    const [first, second] = await twice(shop, '/shop/list');
    expect([first, second].map(({ headers }) => headers.get('cache-control'))).toEqual([
      'private, no-cache',
      'private, no-cache',
    ]);
  });

  it.each([
    ['3.5: with credentials', 'list', { authorization: 'Bearer ann' }, 'credentials'],
    ['3.5: with a cookie', 'list', { cookie: 'sid=1' }, 'credentials'],
    ['3.5: with a key', 'list', { 'x-api-key': '1' }, 'credentials'],
    ['7.1: told to be another request', 'list', { 'x-original-url': '/admin' }, 'override-header'],
  ])(
    'RFC 9111, %s, a request is neither answered from the cache nor stored',
    async (_, path, headers, why) => {
      const shop = await boot();
      const [first, second] = await twice(shop, `/shop/${path}`, headers);
      expect(first.headers.get('cache-status')).toBe(`"anbar"; fwd=bypass; detail=${why}`);
      expect([first, second].map((answer) => answer.headers.get('x-cache'))).toEqual(['BYPASS', 'BYPASS']);
      expect(runs[path]).toBe(2);
      expect((await shop.get(`/shop/${path}`)).headers.get('x-cache')).toBe('MISS');
    },
  );

  it.each([
    ['7.3: one that sets a cookie', 'cookie', 'set-cookie'],
    ['5.2.2.5: no-store', 'secret', 'answer-no-store'],
    ['5.2.2.7: private', 'private', 'answer-private'],
    ['4.1: one that varies by what the key does not know', 'varied', 'answer-vary'],
    ['3: a status nobody asked to keep', 'teapot', 'status'],
  ])('RFC 9111, %s is sent and not stored', async (_, path, why) => {
    const shop = await boot();
    const [first, second] = await twice(shop, `/shop/${path}`);
    expect(first.headers.get('cache-status')).toBe(`"anbar"; fwd=uri-miss; detail=${why}`);
    expect(second.headers.get('x-cache')).toBe('MISS');
    expect(runs[path]).toBe(2);
  });

  it('a stream is sent and not stored, and the log says so once', async () => {
    const shop = await boot();
    const [first, second] = await twice(shop, '/shop/stream');
    expect([first.text, second.text]).toEqual(['stream 1', 'stream 2']);
    await expect.poll(() => shop.warnings.filter((line) => line.includes('stream'))).toHaveLength(1);
  });

  it('why nothing is cached is logged once for each route and reason', async () => {
    const shop = await boot();
    await twice(shop, '/shop/list', { cookie: 'sid=1' });
    expect(shop.warnings).toEqual([
      expect.stringMatching(/^Shop\.list is not cached \(credentials\): .*by: 'user'/u),
    ]);
  });

  it('RFC 9111, 4.1: declared headers stand in the key and in Vary', async () => {
    const shop = await boot();
    await twice(shop, '/shop/spoken', { 'accept-language': 'fa' });
    const [, english] = await twice(shop, '/shop/spoken', { 'accept-language': 'en' });
    expect(english.json()).toMatchObject({ run: 2, language: 'en' });
    expect(english.headers.get('vary')).toBe('accept-language');
    expect((await shop.get('/shop/spoken', { 'accept-language': 'fa' })).json()).toMatchObject({ run: 1 });
  });

  it('by: user keeps one answer for each principal, and guards run before every hit', async () => {
    const shop = await boot();
    await twice(shop, '/shop/mine', { authorization: 'Bearer ann' });
    const [, bob] = await twice(shop, '/shop/mine', { authorization: 'Bearer bob' });
    expect(bob.json()).toEqual({ run: 2, user: 'bob' });
    const ann = await shop.get('/shop/mine', { authorization: 'Bearer ann' });
    expect([ann.json(), ann.headers.get('x-cache')]).toEqual([{ run: 1, user: 'ann' }, 'HIT']);
    const [, nobody] = await twice(shop, '/shop/mine');
    expect([nobody.json(), nobody.headers.get('x-cache')]).toEqual([{ run: 3, user: null }, 'HIT']);
    expect((await shop.get('/shop/mine', { authorization: 'Bearer wrong' })).status).toBe(403);
    // A cookie says that it is somebody, and nobody knows who.
    expect((await shop.get('/shop/mine', { cookie: 'sid=1' })).headers.get('x-cache')).toBe('BYPASS');
  });

  it('by: everyone is the same answer with and without credentials', async () => {
    const shop = await boot();
    await twice(shop, '/shop/open', { authorization: 'Bearer ann' });
    expect((await shop.get('/shop/open', { cookie: 'sid=1' })).json()).toEqual({ run: 1 });
    expect((await shop.get('/shop/open', { authorization: 'Bearer wrong' })).status).toBe(403);
  });

  it('cookies that name nobody can be left out of account', async () => {
    const shop = await boot({ httpCache: { credentials: { cookies: ['sid'] } } });
    await twice(shop, '/shop/list', { cookie: 'theme=dark' });
    expect((await shop.get('/shop/list', { cookie: 'theme=light' })).headers.get('x-cache')).toBe('HIT');
    expect((await shop.get('/shop/list', { cookie: 'a=b; sid=1' })).headers.get('x-cache')).toBe('BYPASS');
  });

  it('@HttpCode, @Header and interceptors around the handler are part of the answer', async () => {
    const shop = await boot();
    const [first, second] = await twice(shop, '/shop/made');
    expect([second.status, second.text]).toEqual([203, 'made 1']);
    expect(second.headers.get('content-language')).toBe('fa');
    expect(second.headers.get('x-shop')).toBe('yes');
    expect(second.headers.get('content-type')).toBe(first.headers.get('content-type'));
    const [, wrapped] = await twice(shop, '/shop/wrapped');
    expect([wrapped.text, wrapped.headers.get('x-cache')]).toEqual(['{"wrapped":{"run":1}}', 'HIT']);
  });

  it('pipes judge every request, and an error is answered as if there were no cache', async () => {
    const shop = await boot();
    await twice(shop, '/shop/book/7');
    expect((await shop.get('/shop/book/seven')).status).toBe(400);
    const [, missing] = await twice(shop, '/shop/book/404');
    expect([missing.status, missing.json<{ message: string }>().message]).toEqual([404, 'Not Found']);
  });

  it('what @CacheEvict invalidates is made anew', async () => {
    const shop = await boot();
    await twice(shop, '/shop/book/7');
    await twice(shop, '/shop/book/8');
    expect((await shop.get('/shop/book/7/sell')).json()).toEqual({ sold: '7' });
    expect((await shop.get('/shop/book/7')).json()).toEqual({ run: 3, id: 7 });
    expect((await shop.get('/shop/book/8')).headers.get('x-cache')).toBe('HIT');
  });

  it('parameters that are not listed are answered and leave no trace', async () => {
    const shop = await boot();
    const [poisoned] = await twice(shop, '/shop/pages?page=1&evil=1');
    expect(poisoned.headers.get('cache-status')).toBe('"anbar"; fwd=uri-miss; detail=unlisted-query');
    const [clean] = await twice(shop, '/shop/pages?page=1');
    expect(clean.json()).toMatchObject({ query: { page: '1' }, run: 3 });
    expect((await shop.get('/shop/pages?page=1&utm=x')).text).toBe(clean.text);
  });

  it('RFC 9111, 5.2.1.4: no-cache of a request counts only where it is allowed to', async () => {
    const plain = await boot();
    await twice(plain, '/shop/list');
    expect((await plain.get('/shop/list', { 'cache-control': 'no-cache' })).headers.get('x-cache')).toBe(
      'HIT',
    );
    const polite = await boot({ httpCache: { requestDirectives: 'honour' } });
    await twice(polite, '/shop/list');
    const renewed = await polite.get('/shop/list', { 'cache-control': 'no-cache' });
    expect([renewed.headers.get('x-cache'), renewed.json<{ run: number }>().run]).toEqual(['MISS', 2]);
    await stored();
    expect((await polite.get('/shop/list')).json()).toMatchObject({ run: 2 });
    const only = await polite.get('/shop/list?other', { 'cache-control': 'only-if-cached' });
    expect(only.status).toBe(504);
  });

  it('RFC 9111, 5.2.1: max-age, min-fresh, max-stale and only-if-cached, where they count', async () => {
    const shop = await boot({ httpCache: { requestDirectives: 'honour' } });
    const asked = async (path: string, control: string): Promise<[number, string | null]> => {
      const { status, headers } = await shop.get(path, { 'cache-control': control });
      await stored();
      return [status, headers.get('x-cache')];
    };
    // Nothing is stored yet: the handler runs once, and its answer is stored.
    expect(await asked('/shop/list', 'max-age=60')).toEqual([200, 'MISS']);
    expect(await asked('/shop/list', 'max-age=60')).toEqual([200, 'HIT']);
    expect(await asked('/shop/list', 'only-if-cached')).toEqual([200, 'HIT']);
    // The route keeps it for a minute.
    expect(await asked('/shop/list', 'min-fresh=30')).toEqual([200, 'HIT']);
    expect(await asked('/shop/list', 'min-fresh=61, only-if-cached')).toEqual([504, null]);
    expect(await asked('/shop/list', 'min-fresh=61')).toEqual([200, 'MISS']);
    expect(runs['list']).toBe(2);
    // Stale for some milliseconds, and kept because it may stand in for an error.
    await twice(shop, '/shop/shaky');
    await stored();
    expect(await asked('/shop/shaky', 'only-if-cached')).toEqual([504, null]);
    expect(await asked('/shop/shaky', 'only-if-cached, max-stale=30')).toEqual([200, 'STALE']);
    expect(await asked('/shop/shaky', 'max-stale')).toEqual([200, 'STALE']);
    expect(await asked('/shop/shaky', 'max-age=60')).toEqual([200, 'MISS']);
  });

  it('RFC 9111, 5.2.1: none of them counts where they are ignored', async () => {
    const shop = await boot();
    await twice(shop, '/shop/list');
    for (const control of ['max-age=0', 'min-fresh=999', 'no-cache']) {
      const { headers } = await shop.get('/shop/list', { 'cache-control': control });
      expect(headers.get('x-cache')).toBe('HIT');
    }
    expect((await shop.get('/shop/list?other', { 'cache-control': 'only-if-cached' })).status).toBe(200);
  });

  it('RFC 9111, 5.2.1.5: no-store of a request leaves no trace', async () => {
    const shop = await boot();
    await twice(shop, '/shop/list', { 'cache-control': 'no-store' });
    expect(runs['list']).toBe(2);
    expect((await shop.get('/shop/list')).headers.get('x-cache')).toBe('MISS');
  });

  it('RFC 5861, 3: a stale answer is sent at once, and made anew once behind it', async () => {
    const shop = await boot();
    await twice(shop, '/shop/stale');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const stale = await shop.get('/shop/stale');
    expect(stale.headers.get('x-cache')).toBe('STALE');
    expect(stale.text).toMatch(/^\{"wrapped":\{"run":\d\}\}$/u);
    // What comes after it has passed the same interceptors, though nobody waits for it.
    await expect
      .poll(async () => {
        const { text } = await shop.get('/shop/stale');
        return text !== stale.text && /^\{"wrapped":\{"run":\d+\}\}$/u.test(text);
      })
      .toBe(true);
  });

  it('RFC 5861, 4: a stale answer is better than an error', async () => {
    const shop = await boot();
    await twice(shop, '/shop/shaky');
    await stored();
    broken = true;
    const answer = await shop.get('/shop/shaky');
    expect([answer.status, answer.text]).toEqual([200, '{"fine":true}']);
    expect(answer.headers.get('x-cache')).toBe('STALE');
  });

  it('one handler runs for 100 requests for a cold route, and all have its answer', async () => {
    const shop = await boot();
    const answers = await Promise.all(Array.from({ length: 100 }, () => shop.get('/shop/slow')));
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['{"run":1}']));
    expect(runs['slow']).toBe(1);
  });

  it('poisoned headers reach nobody else', async () => {
    const shop = await boot();
    await twice(shop, '/shop/list', { 'x-forwarded-host': 'evil.example' });
    expect((await shop.get('/shop/list')).headers.get('x-cache')).toBe('MISS');
  });
});
