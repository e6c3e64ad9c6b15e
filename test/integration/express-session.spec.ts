/** express-session on our store: what it does on its own memory store it does here, and a destroyed session stays gone. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import expressSession, { type SessionData, type Store } from 'express-session';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createCodec } from '@anbar/nestjs-redis/codec';
import { createRedis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { expressSessionStore, resolveSession, type ExpressStore } from '@anbar/nestjs-redis/session';
import { shared, startStandalone } from '../topology/index.js';

declare module 'express-session' {
  interface SessionData {
    views: number;
    note: string;
  }
}

type Handler = (request: IncomingMessage & { session: SessionOf }, response: ServerResponse) => void;
type SessionOf = expressSession.Session & Partial<SessionData>;

let number = 0;

async function open(options: RedisModuleOptions): Promise<Store & ExpressStore> {
  const redis = createRedis(options, {});
  onTestFinished(() => redis.disconnect());
  number += 1;
  return expressSessionStore(expressSession, {
    client: redis.adapter.port,
    namespace: `express-${process.pid}-${number}`,
    codec: createCodec({}),
    settings: resolveSession({ idle: '1h' }),
  });
}

async function serve(store: Store, handler: Handler, settings: Partial<expressSession.SessionOptions> = {}) {
  const run = expressSession({
    secret: 'planted-secret-x',
    store,
    resave: false,
    saveUninitialized: false,
    ...settings,
  });
  const server = createServer((request, response) => {
    run(request as never, response as never, (error: unknown) => {
      if (error === undefined) handler(request as never, response);
      else response.writeHead(503).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return async (path: string, cookie?: string) => {
    const answer = await fetch(base + path, { headers: cookie === undefined ? {} : { cookie } });
    const set = answer.headers.get('set-cookie');
    return { status: answer.status, text: await answer.text(), cookie: set?.split(';')[0] ?? cookie };
  };
}

const counting: Handler = (request, response) => {
  const { session } = request;
  if (request.url === '/destroy') {
    session.destroy((error: unknown) =>
      response.end(error === undefined || error === null ? 'gone' : 'failed'),
    );
    return;
  }
  if (request.url === '/regenerate') {
    session.regenerate(() => {
      request.session.views = 100;
      response.end('new');
    });
    return;
  }
  session.views = (session.views ?? 0) + 1;
  const answer = (): unknown => response.end(String(session.views));
  if (request.url === '/slow') setTimeout(answer, 100);
  else answer();
};

describe.each(['embedded', 'standalone'] as const)('on %s', (place) => {
  const target = async (): Promise<RedisModuleOptions> =>
    place === 'embedded' ? { topology: 'embedded' } : { url: (await shared('standalone')).url };

  it('keeps, regenerates and destroys', async () => {
    const ask = await serve(await open(await target()), counting);
    const first = await ask('/');
    expect(first.text).toBe('1');
    expect((await ask('/', first.cookie)).text).toBe('2');
    const other = await ask('/regenerate', first.cookie);
    expect(other.cookie).not.toBe(first.cookie);
    expect((await ask('/', other.cookie)).text).toBe('101');
    expect((await ask('/', first.cookie)).text).toBe('1');
    expect((await ask('/destroy', other.cookie)).text).toBe('gone');
    expect((await ask('/', other.cookie)).text).toBe('1');
  });

  it('a request that was under way does not bring a destroyed session back', async () => {
    const store = await open(await target());
    const ask = await serve(store, counting);
    const { cookie } = await ask('/');
    await Promise.all([ask('/slow', cookie), ask('/slow', cookie), ask('/destroy', cookie)]);
    expect((await ask('/', cookie)).text).toBe('1');
    expect(await counted(store)).toBe(1);
  });

  it('touches what is rolling, and lets a short cookie end its session', async () => {
    const ask = await serve(await open(await target()), counting, { rolling: true, cookie: { maxAge: 400 } });
    const { cookie } = await ask('/');
    for (let i = 0; i < 4; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect((await ask('/', cookie)).text).toBe(String(i + 2));
    }
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await ask('/', cookie)).text).toBe('1');
  });

  it('counts and clears', async () => {
    const store = await open(await target());
    const ask = await serve(store, counting);
    const cookies = await Promise.all([ask('/'), ask('/'), ask('/')]);
    expect(await counted(store)).toBe(3);
    await new Promise((resolve) => store.clear(resolve));
    expect(await counted(store)).toBe(0);
    expect((await ask('/', cookies[0].cookie)).text).toBe('1');
  });
});

it('without Redis it says so instead of forgetting who is logged in', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const ask = await serve(await open({ url: server.url }), counting);
  const { cookie } = await ask('/');
  await server.process.kill();
  expect((await ask('/', cookie)).status).toBe(503);
});

function counted(store: ExpressStore): Promise<number | undefined> {
  return new Promise((resolve) => store.length((_, count) => resolve(count)));
}
