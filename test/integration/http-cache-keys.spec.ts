/** Requests for different things, or from different people, are given different answers, however they tell it. */
import 'reflect-metadata';
import {
  Controller,
  Get,
  Module,
  Param,
  Post,
  Req,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:http2';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { answerAtDoor, Cacheable, CacheEvict, RedisModule } from '@anbar/nestjs-redis';
import { CORNERS, serve } from './http-boot.js';

let price = 0;
let reads = 0;
let hold: Promise<void> = Promise.resolve();

/** Knows people by a header that nobody has told the cache of. */
class Session implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ user?: unknown; headers: Record<string, string> }>();
    const [kind, name = ''] = (request.headers['x-session'] ?? '').split(':');
    if (kind === 'bigint') request.user = { id: BigInt(name) };
    if (kind === 'object') request.user = { id: { toHexString: () => name } };
    if (kind === 'email') request.user = { email: name };
    return true;
  }
}

@Controller()
class Shop {
  @Get(':language/books')
  @Cacheable({ ttl: '1m', by: 'everyone' })
  books(@Param('language') language: string): object {
    return { language };
  }

  @Get('tenant')
  @Cacheable({ ttl: '1m', vary: ['x-tenant'] })
  tenant(@Req() request: IncomingMessage): object {
    return { tenant: request.headers['x-tenant'] };
  }

  @Get('mine')
  @UseGuards(Session)
  @Cacheable({ ttl: '1m', by: 'user' })
  mine(@Req() request: IncomingMessage): object {
    return { for: request.headers['x-session'] };
  }

  @Get('greeting')
  @UseGuards(Session)
  @Cacheable({ ttl: '1m' })
  greeting(@Req() request: IncomingMessage): object {
    return { for: request.headers['x-session'] };
  }

  @Get('tenants')
  @Cacheable({ ttl: '1m', cache: 'tenants' })
  tenants(@Req() request: IncomingMessage): object {
    return { tenant: request.headers['x-tenant'] };
  }

  @Get('host')
  @Cacheable({ ttl: '1m', atDoor: true })
  host(@Req() request: { host: string }): object {
    return { host: request.host };
  }

  @Get('price')
  @Cacheable({ ttl: '1m', tags: ['price'] })
  async price(): Promise<object> {
    reads += 1;
    const found = price;
    await hold;
    return { price: found };
  }

  @Post('price/:price')
  @CacheEvict({ tags: ['price'] })
  change(@Param('price') next: string): object {
    price = Number(next);
    return {};
  }
}

describe.each(CORNERS)('on $platform, $place', ({ platform, place }) => {
  it('header values that differ in nothing but case are two', async () => {
    const served = await serve({ controllers: [Shop] }, { platform, place });
    const one = await served.get('/tenant', { 'x-tenant': 'aB' });
    const other = await served.get('/tenant', { 'x-tenant': 'Ab' });
    expect([one.json(), other.json()]).toEqual([{ tenant: 'aB' }, { tenant: 'Ab' }]);
  });

  it.each(['bigint', 'object', 'email'])(
    'people whose name is no text are not one person (%s)',
    async (kind) => {
      const served = await serve({ controllers: [Shop] }, { platform, place });
      for (const path of ['/mine', '/greeting']) {
        for (const session of [`${kind}:1`, `${kind}:2`]) {
          expect((await served.get(path, { 'x-session': session })).json()).toEqual({ for: session });
        }
      }
    },
  );

  it('a client that insists on a new answer does not bring back what was invalidated meanwhile', async () => {
    const served = await serve(
      { controllers: [Shop] },
      { platform, place, options: { httpCache: { requestDirectives: 'honour' } } },
    );
    price = 1;
    hold = Promise.resolve();
    expect((await served.get('/price')).json()).toEqual({ price: 1 });
    let release = (): void => undefined;
    hold = new Promise((resolve) => {
      release = resolve;
    });
    const before = reads;
    const insisting = served.get('/price', { 'cache-control': 'no-cache' });
    await expect.poll(() => reads).toBe(before + 1);
    await served.get('/price/2', {}, 'POST');
    release();
    expect((await insisting).json()).toEqual({ price: 1 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await served.get('/price')).json()).toEqual({ price: 2 });
  });
});

it('on express, one URL that a middleware rewrites to two has two answers', async () => {
  const served = await serve(
    { controllers: [Shop] },
    {
      platform: 'express',
      prepare: (app: INestApplication) =>
        app.use((request: IncomingMessage, _response: ServerResponse, next: () => void) => {
          if (request.url === '/books') request.url = `/${request.headers['accept-language']}/books`;
          next();
        }),
    },
  );
  const fa = await served.get('/books', { 'accept-language': 'fa' });
  const en = await served.get('/books', { 'accept-language': 'en' });
  expect([fa.json(), en.json()]).toEqual([{ language: 'fa' }, { language: 'en' }]);
});

it.each<[string, (request: never) => unknown]>([
  ['a promise', async ({ headers }: IncomingMessage) => Promise.resolve(headers['x-tenant'])],
  ['an object', ({ headers }: IncomingMessage) => ({ id: headers['x-tenant'] })],
])('a context that is %s keeps nobody apart, and is refused', async (_, resolver) => {
  const served = await serve(
    { controllers: [Shop] },
    {
      platform: 'express',
      options: {
        contexts: { tenant: resolver as (request: unknown) => string },
        caches: { tenants: { contexts: ['tenant'] } },
      },
    },
  );
  for (const tenant of ['one', 'two']) {
    expect((await served.get('/tenants', { 'x-tenant': tenant })).json()).toEqual({ tenant });
  }
  expect(served.warnings).toEqual([expect.stringContaining('no-context')]);
});

it.each<[string, (request: never) => unknown]>([
  ['a promise', async ({ headers }: IncomingMessage) => Promise.resolve(headers['x-session'])],
  ['not a number', () => Number.NaN],
])('a principal that is %s is somebody, and nobody in particular', async (_, principal) => {
  const served = await serve(
    { controllers: [Shop] },
    { platform: 'express', options: { httpCache: { principal: principal as () => string } } },
  );
  for (const session of ['one', 'two']) {
    expect((await served.get('/mine', { 'x-session': session })).json()).toEqual({ for: session });
  }
  expect(served.warnings).toEqual([expect.stringContaining('no-principal')]);
});

/** `fetch` does not speak it. */
async function serveHttp2(): Promise<(authority: string, path: string) => Promise<string>> {
  @Module({ imports: [RedisModule.forRoot({ topology: 'embedded' })], controllers: [Shop] })
  class App {}
  const app = await NestFactory.create(App, new FastifyAdapter({ http2: true } as never), { logger: false });
  answerAtDoor(app);
  await app.listen(0, '127.0.0.1');
  const session = connect(await app.getUrl());
  onTestFinished(async () => {
    session.close();
    await app.close();
  });
  return async (authority, path) => {
    const stream = session.request({ ':path': path, ':authority': authority });
    let text = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await once(stream, 'end');
    return text;
  };
}

it('hosts of HTTP/2, which has no header for them, are told apart, at the door too', async () => {
  const get = await serveHttp2();
  for (let i = 0; i < 5; i += 1) {
    expect(await get('one.example', '/host')).toBe('{"host":"one.example"}');
    expect(await get('two.example', '/host')).toBe('{"host":"two.example"}');
  }
});
