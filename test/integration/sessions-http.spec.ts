/** Sessions as a browser meets them: on Express and on Fastify, logins, parallel requests, streams, and Redis away. */
import 'reflect-metadata';
import {
  Controller,
  Get,
  Inject,
  Module,
  Param,
  Post,
  Res,
  Session,
  type INestApplication,
} from '@nestjs/common';
import type { MiddlewareConsumer, NestModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RedisModule, type RedisModuleOptions } from '@anbar/nestjs-redis';
import {
  fastifySessions,
  SessionMiddleware,
  SessionService,
  type HttpSession,
} from '@anbar/nestjs-redis/session';
import { shared, startStandalone, type Standalone } from '../topology/index.js';

interface Visit {
  count: number;
  cart: string[];
}

@Controller()
class Shop {
  constructor(@Inject(SessionService) private readonly sessions: SessionService<Visit>) {}

  @Get('look')
  look(@Session() session: HttpSession<Visit>): unknown {
    return { user: session.user ?? null, ...session.data };
  }

  @Post('count')
  count(@Session() session: HttpSession<Visit>): unknown {
    session.data.count = (session.data.count ?? 0) + 1;
    return { count: session.data.count };
  }

  @Post('login/:user')
  async login(@Session() session: HttpSession<Visit>, @Param('user') user: string): Promise<unknown> {
    await session.login(user, { device: { agent: 'test' } });
    return { user: session.user };
  }

  @Post('logout')
  async logout(@Session() session: HttpSession<Visit>): Promise<void> {
    await session.logout();
  }

  @Post('logout-elsewhere')
  async elsewhere(@Session() session: HttpSession<Visit>): Promise<unknown> {
    return { ended: await session.logoutElsewhere() };
  }

  @Post('regenerate')
  async regenerate(@Session() session: HttpSession<Visit>): Promise<void> {
    await session.regenerate();
  }

  @Get('devices/:user')
  devices(@Param('user') user: string): Promise<unknown> {
    return this.sessions.listByUser(user);
  }

  /** A slow request that puts something into its session at the end. */
  @Post('slow')
  async slow(@Session() session: HttpSession<Visit>): Promise<unknown> {
    session.data.cart = [...(session.data.cart ?? []), 'late'];
    await new Promise((resolve) => setTimeout(resolve, 400));
    return { cart: session.data.cart };
  }

  @Get('fail')
  fail(@Session() session: HttpSession<Visit>): never {
    session.data.count = 99;
    throw new Error('the handler failed');
  }
}

@Controller()
class Streaming {
  @Get('stream')
  stream(@Session() session: HttpSession<Visit>, @Res() response: ServerResponse): void {
    session.data.count = 1;
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write('one ');
    response.write('two ');
    setTimeout(() => response.end('three'), 20);
  }
}

type Kind = 'Express' | 'Fastify';

async function start(kind: Kind, options: RedisModuleOptions): Promise<INestApplication> {
  const redis = RedisModule.forRoot({ ...options, namespace: `http-${kind.toLowerCase()}` });
  if (kind === 'Fastify') {
    class FastifyShop {
      readonly name = 'shop';
    }
    Module({ imports: [redis], controllers: [Shop] })(FastifyShop);
    const app = await NestFactory.create<NestFastifyApplication>(FastifyShop, new FastifyAdapter(), {
      logger: false,
    });
    const fastify = app.getHttpAdapter().getInstance();
    await fastifySessions(app.get(SessionService))(fastify);
    return opened(app);
  }
  class ExpressShop implements NestModule {
    configure(consumer: MiddlewareConsumer): void {
      consumer.apply(SessionMiddleware).forRoutes('*path');
    }
  }
  Module({ imports: [redis], controllers: [Shop, Streaming] })(ExpressShop);
  return opened(await NestFactory.create(ExpressShop, { logger: false }));
}

async function opened<App extends INestApplication>(app: App): Promise<App> {
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  return app;
}

/** Keeps the one cookie, as a browser does. */
class Browser {
  cookie: string | undefined;
  setCookie: string | null = null;
  readonly #base: string;

  constructor(base: string, cookie?: string) {
    this.#base = base;
    this.cookie = cookie;
  }

  async ask(
    method: 'GET' | 'POST',
    path: string,
  ): Promise<{ status: number; body: unknown; type: string | null }> {
    const headers: Record<string, string> = this.cookie === undefined ? {} : { cookie: this.cookie };
    const answer = await fetch(`${this.#base}/${path}`, { method, headers });
    this.setCookie = answer.headers.get('set-cookie');
    if (this.setCookie !== null) {
      const pair = this.setCookie.slice(0, this.setCookie.indexOf(';'));
      this.cookie = this.setCookie.includes('Max-Age=0') ? undefined : pair;
    }
    const text = await answer.text();
    let body: unknown = text;
    if (text.startsWith('{') || text.startsWith('[')) body = JSON.parse(text);
    return { status: answer.status, body, type: answer.headers.get('content-type') };
  }
}

describe.each<Kind>(['Express', 'Fastify'])('on %s', (kind) => {
  async function visit(options?: RedisModuleOptions): Promise<{ base: string; browser: Browser }> {
    const { url } = await shared('standalone');
    const app = await start(kind, options ?? { url });
    const base = await app.getUrl();
    return { base, browser: new Browser(base) };
  }

  it('who has nothing to keep gets no session; who has gets one, and it is found again', async () => {
    const { browser } = await visit();
    expect((await browser.ask('GET', 'look')).body).toEqual({ user: null });
    expect(browser.setCookie).toBeNull();
    await browser.ask('POST', 'count');
    expect(browser.setCookie).toMatch(/^sid=[\w.-]{60}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/u);
    expect((await browser.ask('POST', 'count')).body).toEqual({ count: 2 });
    expect(browser.setCookie).toBeNull();
    expect((await browser.ask('GET', 'look')).body).toEqual({ user: null, count: 2 });
  });

  it('a login gives a new id and keeps the data; the id of before is a stranger', async () => {
    const { base, browser } = await visit();
    await browser.ask('POST', 'count');
    const planted = new Browser(base, browser.cookie);
    await browser.ask('POST', 'login/ada');
    expect((await browser.ask('GET', 'look')).body).toEqual({ user: 'ada', count: 1 });
    expect((await planted.ask('GET', 'look')).body).toEqual({ user: null });
    expect(planted.setCookie).toContain('Max-Age=0');
  });

  it('a cookie somebody made up is not taken up', async () => {
    const { base } = await visit();
    const made = new Browser(base, `sid=${'A'.repeat(43)}.${'B'.repeat(16)}`);
    await made.ask('POST', 'count');
    expect(made.cookie).toMatch(/^sid=/u);
    expect(made.cookie).not.toContain('AAAA');
  });

  it('log out ends it here, log out elsewhere ends it there', async () => {
    const { base, browser } = await visit();
    const phone = new Browser(base);
    await browser.ask('POST', 'login/grace');
    await phone.ask('POST', 'login/grace');
    expect((await browser.ask('GET', 'devices/grace')).body).toHaveLength(2);
    expect((await browser.ask('POST', 'logout-elsewhere')).body).toEqual({ ended: 1 });
    expect((await phone.ask('GET', 'look')).body).toEqual({ user: null });
    await browser.ask('POST', 'logout');
    expect(browser.cookie).toBeUndefined();
    expect((await browser.ask('GET', 'devices/grace')).body).toEqual([]);
  });

  it('requests under way lose nothing by a new id, and bring nothing back after a logout', async () => {
    const { base, browser } = await visit();
    await browser.ask('POST', 'login/mary');
    const tab = new Browser(base, browser.cookie);
    await Promise.all([tab.ask('POST', 'slow'), browser.ask('POST', 'regenerate')]);
    expect((await browser.ask('GET', 'look')).body).toEqual({ user: 'mary', cart: ['late'] });

    const late = new Browser(base, browser.cookie);
    const slow = late.ask('POST', 'slow');
    await new Promise((resolve) => setTimeout(resolve, 100));
    await browser.ask('POST', 'logout');
    expect((await slow).status).toBe(201);
    expect(late.cookie).toBeUndefined();
    expect((await browser.ask('GET', 'devices/mary')).body).toEqual([]);
  });

  it('what a failing handler put in is kept, and its error answered', async () => {
    const { browser } = await visit();
    await browser.ask('POST', 'count');
    expect((await browser.ask('GET', 'fail')).status).toBe(500);
    expect((await browser.ask('GET', 'look')).body).toEqual({ user: null, count: 99 });
  });

  it('without Redis nobody is taken for a stranger: 503, at once and until it is back', async () => {
    const server: Standalone = await startStandalone();
    onTestFinished(() => server.stop());
    const { base, browser } = await visit({ url: server.url });
    await browser.ask('POST', 'login/joan');
    await server.process.kill();
    const startedAt = performance.now();
    expect((await browser.ask('GET', 'look')).status).toBe(503);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    // Who has no session is served, unless something is to be kept: that would be a lie.
    const visitor = new Browser(base);
    expect((await visitor.ask('GET', 'look')).status).toBe(200);
    expect(await visitor.ask('POST', 'count')).toMatchObject({
      status: 503,
      type: 'application/problem+json',
      body: { code: 'SESSION_UNAVAILABLE' },
    });
    expect(visitor.setCookie).toBeNull();
  });
});

it('on Express a stream waits for its session, and then goes its way', async () => {
  const { url } = await shared('standalone');
  const app = await start('Express', { url });
  const browser = new Browser(await app.getUrl());
  expect((await browser.ask('GET', 'stream')).body).toBe('one two three');
  expect(browser.setCookie).toMatch(/^sid=/u);
  expect((await browser.ask('GET', 'look')).body).toEqual({ user: null, count: 1 });
});
