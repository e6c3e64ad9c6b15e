/** Sessions as a browser meets them: on Express and on Fastify, logins, parallel requests, streams, and Redis away. */
import { Controller, Get, Inject, Param, Post, Res, Session } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CacheMiddleware, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { SessionMiddleware, SessionService, type HttpSession } from '@anbar/nestjs-redis/session';
import { startStandalone, type Standalone } from '../topology/index.js';
import { PLACES, type Place } from './http-boot.js';
import { serveSessions, type OnSend } from './session-boot.js';

interface Visit {
  count: number;
  cart: string[];
}

@Controller()
class Shop {
  static orders = 0;

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

  /** Out, and at once something to keep again. */
  @Post('leave')
  async leave(@Session() session: HttpSession<Visit>): Promise<void> {
    await session.logout();
    session.data.count = 1;
  }

  @Get('devices/:user')
  devices(@Param('user') user: string): Promise<unknown> {
    return this.sessions.listByUser(user);
  }

  /** A slow request that puts something into its session at the end. */
  @Post('slow')
  async slow(@Session() session: HttpSession<Visit>): Promise<unknown> {
    session.data.cart = [...(session.data.cart ?? []), 'late'];
    await pause(400);
    return { cart: session.data.cart };
  }

  @Post('order')
  order(): void {
    Shop.orders += 1;
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

  /** Goes on with its session while that is being stored. */
  @Get('steps')
  steps(@Session() session: HttpSession<Visit>, @Res() response: ServerResponse): void {
    const { data } = session;
    data.count = 1;
    response.write('one ');
    data.count = 2;
    setTimeout(() => {
      data.cart = ['late'];
      response.end('two');
    }, 50);
  }

  /** More than fits into the buffers on the way, so that somebody has to wait for somebody. */
  @Get('pages')
  pages(@Session() session: HttpSession<Visit>, @Res() response: ServerResponse): void {
    session.data.count = 1;
    Readable.from(PAGES).pipe(response);
  }
}

/** Nothing that compression could make small; some fill what a stream takes before it asks to wait, some do not. */
const PAGES: readonly string[] = Array.from({ length: 24 }, (_, i) =>
  randomBytes(i % 2 === 0 ? 4_096 : 65_536).toString('base64'),
);

type Method = (...args: readonly unknown[]) => unknown;
type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** Wraps an answer the way `compression` does, which is no dependency here. */
const squeeze: Middleware = (_request, response, next) => {
  const method = (name: 'writeHead' | 'write' | 'end' | 'on'): Method =>
    (Reflect.get(response, name) as Method).bind(response);
  const [writeHead, write, end, on] = [method('writeHead'), method('write'), method('end'), method('on')];
  const zip = createGzip();
  let [begun, ended] = [false, false];
  const begin = (): void => {
    if (!response.headersSent) response.writeHead(response.statusCode);
  };
  Reflect.set(response, 'writeHead', (...args: readonly unknown[]) => {
    if (!begun) response.setHeader('content-encoding', 'gzip').removeHeader('content-length');
    begun = true;
    return writeHead(...args);
  });
  Reflect.set(response, 'write', (chunk: string | Buffer) => {
    begin();
    return zip.write(chunk);
  });
  Reflect.set(response, 'end', (chunk?: string | Buffer) => {
    if (!ended) begin();
    if (!ended) zip.end(chunk);
    ended = true;
    return response;
  });
  Reflect.set(response, 'on', (event: string, listener: () => void) => {
    if (event === 'drain') zip.on(event, listener);
    else on(event, listener);
    return response;
  });
  zip.on('data', (chunk: Buffer) => {
    if (write(chunk) === false) zip.pause();
  });
  zip.on('end', () => end());
  on('drain', () => zip.resume());
  next();
};

type Kind = 'Express' | 'Fastify';

/** Keeps the one cookie, as a browser does. */
class Browser {
  cookie: string | undefined;
  setCookie: string | null = null;
  headers = new Headers();
  readonly base: string;

  constructor(base: string, cookie?: string) {
    this.base = base;
    this.cookie = cookie;
  }

  async ask(
    method: 'GET' | 'POST',
    path: string,
  ): Promise<{ status: number; body: unknown; type: string | null }> {
    const headers: Record<string, string> = this.cookie === undefined ? {} : { cookie: this.cookie };
    const answer = await fetch(`${this.base}/${path}`, {
      method,
      headers,
      signal: AbortSignal.timeout(8_000),
    });
    this.headers = answer.headers;
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

interface Application {
  readonly base: string;
  readonly browser: Browser;
}

interface Around {
  readonly kind: Kind;
  readonly options?: RedisModuleOptions | undefined;
  readonly chain?: readonly unknown[];
  readonly onSend?: OnSend | undefined;
}

/** With middlewares or hooks of the application's own around the sessions. */
async function visitShop(place: Place, { kind, ...around }: Around): Promise<Application> {
  const platform = kind === 'Express' ? 'express' : 'fastify';
  const { url } = await serveSessions([Shop, Streaming], { platform, place, ...around });
  return { base: url, browser: new Browser(url) };
}

describe.each<Kind>(['Express', 'Fastify'])('on %s', (kind) => {
  const visit = (options?: RedisModuleOptions): Promise<Application> => visitShop('redis', { kind, options });

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
    await pause(100);
    await browser.ask('POST', 'logout');
    expect((await slow).status).toBe(201);
    expect((await late.ask('GET', 'look')).body).toEqual({ user: null });
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
  const { browser } = await visitShop('redis', { kind: 'Express' });
  expect((await browser.ask('GET', 'stream')).body).toBe('one two three');
  expect(browser.setCookie).toMatch(/^sid=/u);
  expect((await browser.ask('GET', 'look')).body).toEqual({ user: null, count: 1 });
});

/** Nobody listens there. */
const AWAY: RedisModuleOptions = { topology: 'standalone', url: 'redis://127.0.0.1:1' };
const SOME_COOKIE = `sid=${'a'.repeat(43)}.${'b'.repeat(16)}`;

describe.each<readonly [Kind, string, OnSend | undefined]>([
  ['Express', 'nothing of its own', undefined],
  ['Fastify', 'nothing of its own', undefined],
  ['Fastify', 'an onSend hook', (_request, _reply, payload) => Promise.resolve(payload)],
  ['Fastify', 'a slow onSend hook', (_request, _reply, payload) => pause(20).then(() => payload)],
])('without Redis, on %s with %s', (kind, _, onSend) => {
  it('who has a cookie is answered 503, and no handler runs', async () => {
    const { base } = await visitShop('embedded', { kind, options: AWAY, onSend });
    const ran = Shop.orders;
    const browser = new Browser(base, SOME_COOKIE);
    expect(await browser.ask('POST', 'order')).toMatchObject({
      status: 503,
      body: { code: 'SESSION_UNAVAILABLE' },
    });
    await pause(50);
    expect(Shop.orders).toBe(ran);
  });
});

const CHAINS: readonly (readonly [string, readonly unknown[]])[] = [
  ['sessions, compression', [SessionMiddleware, squeeze]],
  ['compression, sessions', [squeeze, SessionMiddleware]],
  ['sessions, CacheMiddleware', [SessionMiddleware, CacheMiddleware]],
  ['CacheMiddleware, sessions', [CacheMiddleware, SessionMiddleware]],
  ['sessions, compression, CacheMiddleware', [SessionMiddleware, squeeze, CacheMiddleware]],
  ['sessions, CacheMiddleware, compression', [SessionMiddleware, CacheMiddleware, squeeze]],
];

describe.each(CHAINS)('%s', (_, chain) => {
  const visit = (place: Place, options?: RedisModuleOptions): Promise<Application> =>
    visitShop(place, { kind: 'Express', chain, options });
  const squeezed = chain.includes(squeeze) ? 'gzip' : null;
  const followed = chain.includes(CacheMiddleware);

  it.each(PLACES)('each does its part, with a session to store and without (%s)', async (place) => {
    const { browser } = await visit(place);
    for (const [method, path, body] of [
      ['GET', 'look', { user: null }],
      ['POST', 'count', { count: 1 }],
      ['GET', 'look', { user: null, count: 1 }],
      ['GET', 'stream', 'one two three'],
      ['GET', 'pages', PAGES.join('')],
    ] as const) {
      const answer = await browser.ask(method, path);
      expect(answer.body, path).toEqual(body);
      expect(browser.headers.get('content-encoding'), path).toBe(squeezed);
      expect(browser.headers.has('x-response-time'), path).toBe(followed);
      expect(browser.headers.get('cache-control'), path).toBe(followed ? 'private, no-store' : null);
      expect(browser.setCookie !== null, path).toBe(path === 'count');
    }
    const again = new Browser(browser.base);
    expect((await again.ask('GET', 'pages')).body).toBe(PAGES.join(''));
    expect(again.setCookie).toMatch(/^sid=/u);
  });

  it.each(['stream', 'steps', 'pages'])('what can not be stored is answered 503 (%s)', async (path) => {
    const { browser } = await visit('embedded', AWAY);
    expect(await browser.ask('GET', path)).toMatchObject({
      status: 503,
      type: 'application/problem+json',
      body: { code: 'SESSION_UNAVAILABLE' },
    });
    expect(browser.setCookie).toBeNull();
    // What the handler still had to say must not end the process.
    await pause(100);
  });
});

it.each(PLACES)('what a stream puts in while its session is being stored is kept (%s)', async (place) => {
  const { browser } = await visitShop(place, { kind: 'Express' });
  for (const round of ['a new session', 'the same']) {
    expect((await browser.ask('GET', 'steps')).body, round).toBe('one two');
    await pause(50);
    expect((await browser.ask('GET', 'look')).body, round).toEqual({ user: null, count: 2, cart: ['late'] });
  }
});

it('what can not be written ends its own request, not the process', async () => {
  const wrong: Middleware = (request, response) => {
    const session = Reflect.get(request, 'session') as HttpSession<Visit>;
    session.data.count = 1;
    response.end(42);
  };
  const { browser } = await visitShop('embedded', { kind: 'Express', chain: [SessionMiddleware, wrong] });
  await expect(browser.ask('GET', 'look')).rejects.toThrow('fetch failed');
});

const EVERYWHERE = PLACES.flatMap((place) => [['Express', place] as const, ['Fastify', place] as const]);

describe.each(EVERYWHERE)('the cookie of before, on %s, %s', (kind, place) => {
  it('is not taken back after a login: the answer may arrive after that of the login', async () => {
    const { base, browser } = await visitShop(place, { kind });
    await browser.ask('POST', 'count');
    const tab = new Browser(base, browser.cookie);
    const slow = tab.ask('POST', 'slow');
    await pause(100);
    await browser.ask('POST', 'login/ada');
    expect((await slow).status).toBe(201);
    expect(tab.setCookie).toBeNull();
    expect((await tab.ask('GET', 'look')).body).toEqual({ user: null });
    expect(tab.setCookie).toBeNull();
    expect((await browser.ask('GET', 'look')).body).toEqual({ user: 'ada', count: 1 });
  });

  it('leads on after a rotation, and is not replaced', async () => {
    const { base, browser } = await visitShop(place, { kind });
    await browser.ask('POST', 'login/ada');
    const tab = new Browser(base, browser.cookie);
    await browser.ask('POST', 'regenerate');
    expect((await tab.ask('POST', 'count')).body).toEqual({ count: 1 });
    expect(tab.setCookie).toBeNull();
    expect((await browser.ask('GET', 'look')).body).toEqual({ user: 'ada', count: 1 });
  });

  it('is taken back by a logout, also where it opened nothing any more', async () => {
    const { base, browser } = await visitShop(place, { kind });
    await browser.ask('POST', 'login/ada');
    const tab = new Browser(base, browser.cookie);
    for (const each of [browser, tab]) {
      await each.ask('POST', 'logout');
      expect(each.setCookie).toMatch(/^sid=; Path=\/; Max-Age=0/u);
    }
    await new Browser(base).ask('POST', 'logout');
    expect((await browser.ask('GET', 'look')).body).toEqual({ user: null });
  });

  it('is replaced by a logout that has something to keep', async () => {
    const { browser } = await visitShop(place, { kind });
    await browser.ask('POST', 'login/ada');
    const before = browser.cookie;
    await browser.ask('POST', 'leave');
    expect(browser.cookie).toMatch(/^sid=./u);
    expect(browser.cookie).not.toBe(before);
    expect((await browser.ask('GET', 'look')).body).toEqual({ user: null, count: 1 });
  });
});
