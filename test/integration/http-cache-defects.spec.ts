/** What was once found wrong with cached answers, each as a client would meet it. */
import {
  Controller,
  Get,
  Header,
  Req,
  Session,
  StreamableFile,
  UseInterceptors,
  type INestApplication,
  type Type,
} from '@nestjs/common';
import { request as send, type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Cacheable, CacheInterceptor, HttpCache } from '@anbar/nestjs-redis';
import {
  fastifySessions,
  SessionMiddleware,
  SessionService,
  type HttpSession,
} from '@anbar/nestjs-redis/session';
import { outcomes, stored, twice } from './asked-twice.js';
import { CORNERS, PLATFORMS, serve, type Served } from './http-boot.js';

interface Asking {
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly raw?: IncomingMessage;
}

let runs: Record<string, number> = {};

function ran(name: string): number {
  runs[name] = (runs[name] ?? 0) + 1;
  return runs[name];
}

abstract class Crud {
  @Get()
  list(@Req() { headers }: Asking): object {
    return { of: this.constructor.name, who: headers['authorization'] ?? null };
  }
}

@Controller('cats')
@UseInterceptors(CacheInterceptor)
@HttpCache({ ttl: '1m', by: 'everyone' })
class Cats extends Crud {}

@Controller('dogs')
@UseInterceptors(CacheInterceptor)
@HttpCache({ ttl: '1m' })
class Dogs extends Crud {}

@Controller('hens')
@UseInterceptors(CacheInterceptor)
@HttpCache(false)
class Hens extends Crud {}

@Controller()
class Answers {
  @Get('brief')
  @Cacheable({ ttl: '600ms', stale: '0s', staleOnError: '0s' })
  brief(): object {
    ran('brief');
    return { a: 1 };
  }

  @Get('nothing')
  @Cacheable({ ttl: '600ms', stale: '0s', staleOnError: '0s' })
  nothing(): void {
    ran('nothing');
  }

  @Get('spoken')
  @Header('vary', 'Accept-Language')
  @Cacheable({ ttl: '1m' })
  spoken(@Req() { headers }: Asking): object {
    return { language: headers['accept-language'] };
  }

  @Get('named')
  @Header('vary', 'Accept-Language')
  @Cacheable({ ttl: '1m', vary: ['accept-language'] })
  named(@Req() { headers }: Asking): object {
    return { language: headers['accept-language'] };
  }

  @Get('plain')
  @Cacheable({ ttl: '1m' })
  plain(): object {
    return { run: ran('plain') };
  }

  @Get('filtered')
  @Cacheable({ ttl: '1m', query: ['filter[name]', 'page'] })
  filtered(@Req() { url }: Asking): object {
    return { url };
  }

  @Get('partial')
  @Cacheable({ ttl: '1m', unless: ({ run }: { run: number }) => run < 3 })
  partial(): object {
    return { run: ran('partial') };
  }

  @Get('judged')
  @Cacheable({ ttl: '1m', unless: (_: object, id: string) => id === '1' })
  judged(): object {
    return { run: ran('judged') };
  }

  @Get('file')
  @Cacheable({ ttl: '1m' })
  file(): StreamableFile {
    ran('file');
    // Never ends by itself.
    return new StreamableFile(new Readable({ read: () => undefined }));
  }

  @Get('report')
  @Cacheable({ ttl: '1m' })
  async report(@Req() request: Asking): Promise<object> {
    const run = ran('report');
    const { socket } = request.raw ?? (request as unknown as IncomingMessage);
    await new Promise<void>((resolve, reject) => {
      socket.once('end', () => reject(new Error('the client has hung up')));
      setTimeout(resolve, 250);
    });
    return { run };
  }
}

@Controller()
class Visits {
  @Get('token')
  @Cacheable({ ttl: '1m' })
  token(@Session() session: HttpSession<{ token: string }>): object {
    session.data.token = `token ${ran('token')}`;
    return { token: session.data.token };
  }

  @Get('counted')
  @Cacheable({ ttl: '1m', by: 'everyone' })
  counted(@Session() session: HttpSession<{ seen: number }>): object {
    session.data.seen = ran('counted');
    return { run: runs['counted'] };
  }

  @Get('known')
  @Cacheable({ ttl: '1m' })
  known(): object {
    return { run: ran('known') };
  }
}

interface FastifyHooks {
  addHook(name: string, hook: (...args: never[]) => unknown): void;
}

function fastifyOf(app: INestApplication): FastifyHooks {
  return app.getHttpAdapter().getInstance() as FastifyHooks;
}

/** Sets a header at the very end, as libraries do that have to know how the request went. */
function lateHeader(app: INestApplication, name: string, value: string): void {
  if (app.getHttpAdapter().getType() === 'fastify') {
    fastifyOf(app).addHook('onSend', async (_request: unknown, reply: never, payload: never) => {
      await pause(1);
      (reply as { header(name: string, value: string): void }).header(name, value);
      return payload;
    });
    return;
  }
  app.use((_request: unknown, response: ServerResponse, next: () => void) => {
    const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
    response.end = ((...args: unknown[]) => {
      void pause(1).then(() => {
        response.setHeader(name, value);
        return end(...args);
      });
      return response;
    }) as ServerResponse['end'];
    next();
  });
}

/** The first answer that has a body is begun, and goes on for ever. */
function endless(app: INestApplication): void {
  let first = true;
  if (app.getHttpAdapter().getType() === 'fastify') {
    fastifyOf(app).addHook('onSend', async (_request: unknown, _reply: unknown, payload: never) => {
      await pause(1);
      if (!first) return payload;
      first = false;
      const body = new Readable({ read: () => undefined });
      body.push(payload);
      return body;
    });
    return;
  }
  app.use((_request: unknown, response: ServerResponse, next: () => void) => {
    if (first) {
      response.end = ((body: unknown) => {
        void pause(1)
          .then(() => response.removeHeader('content-length'))
          .then(() => response.write(body));
        return response;
      }) as ServerResponse['end'];
    }
    first = false;
    next();
  });
}

function earlyVary(app: INestApplication, name: string): void {
  if (app.getHttpAdapter().getType() === 'fastify') {
    fastifyOf(app).addHook('onRequest', async (_request: unknown, reply: never) => {
      (reply as { header(name: string, value: string): void }).header('vary', name);
    });
    return;
  }
  app.use((_request: unknown, response: ServerResponse, next: () => void) => {
    response.setHeader('vary', name);
    next();
  });
}

/** A request that can be given up. */
function begin(url: string): { hangUp(): void } {
  const sent = send(url, { agent: false }, (response) => response.on('error', () => undefined));
  sent.on('error', () => undefined);
  sent.end();
  return { hangUp: () => sent.destroy() };
}

/** `fetch` has the last word about `Host`, and asks for no cache where it is given `If-None-Match`. */
function ask(
  url: string,
  headers: Record<string, string>,
): Promise<{ status: number; etag: string; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = send(url, { headers, agent: false }, (response) => {
      const { statusCode: status = 0 } = response;
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status, etag: String(response.headers.etag), text }));
    });
    sent.on('error', reject).end();
  });
}

describe.each(CORNERS)('on $platform, $place', ({ platform, place }) => {
  const boot = (controllers: readonly Type[], prepare?: (app: INestApplication) => void): Promise<Served> => {
    runs = {};
    return serve(
      { controllers: [...controllers] },
      {
        platform,
        place,
        options: { timeout: '5s' },
        ...(prepare === undefined ? {} : { prepare }),
      },
    );
  };

  it('controllers that inherit a handler each have their own plan for it', async () => {
    const farm = await boot([Cats, Dogs, Hens]);
    expect(outcomes(await twice(farm, '/cats'))).toEqual(['MISS', 'HIT']);
    for (const who of ['ann', 'bob']) {
      const [first, second] = await twice(farm, '/dogs', { authorization: who });
      expect(outcomes([first, second])).toEqual(['BYPASS', 'BYPASS']);
      expect(second.json()).toEqual({ of: 'Dogs', who });
      const [, hen] = await twice(farm, '/hens', { authorization: who });
      expect([hen.json(), hen.headers.get('x-cache')]).toEqual([{ of: 'Hens', who }, null]);
    }
  });

  it.each(['brief', 'nothing'])(
    'RFC 9110, 15.4.5: a miss that is answered with 304 leaves a whole answer behind (%s)',
    async (path) => {
      const shop = await boot([Answers]);
      const first = await shop.get(`/${path}`);
      await pause(650);
      const etag = first.headers.get('etag') ?? '';
      const again = await ask(`${shop.url}/${path}`, { 'if-none-match': etag });
      // Only Express judges a fresh answer.
      expect([again.status, again.etag]).toEqual([platform === 'express' ? 304 : 200, etag]);
      await stored();
      const hit = await shop.get(`/${path}`);
      expect([hit.status, hit.text, hit.headers.get('x-cache')]).toEqual([first.status, first.text, 'HIT']);
      expect(hit.headers.get('content-type')).toBe(first.headers.get('content-type'));
      expect(runs[path]).toBe(2);
    },
  );

  it('RFC 9111, 4.1: a Vary from before the handler counts as well as its own', async () => {
    const shop = await boot([Answers]);
    for (const language of ['de', 'fr']) {
      const [first, second] = await twice(shop, '/spoken', { 'accept-language': language });
      expect(first.headers.get('cache-status')).toBe('"anbar"; fwd=uri-miss; detail=answer-vary');
      expect(second.json()).toEqual({ language });
      const declared = await twice(shop, '/named', { 'accept-language': language });
      expect(outcomes(declared)).toEqual(['MISS', 'HIT']);
      expect(declared[1].json()).toEqual({ language });
    }
  });

  it.each([
    ['X-Tenant', ['MISS', 'MISS']],
    ['Origin, X-Tenant', ['MISS', 'MISS']],
    ['Cookie', ['MISS', 'MISS']],
    ['*', ['MISS', 'MISS']],
    ['Origin', ['MISS', 'HIT']],
    ['Origin, Accept-Encoding', ['MISS', 'HIT']],
  ])('RFC 9111, 4.1: a middleware that says Vary: %s', async (name, expected) => {
    const shop = await boot([Answers], (app) => earlyVary(app, name));
    expect(outcomes(await twice(shop, '/plain'))).toEqual(expected);
  });

  it('RFC 9111, 7.3: an answer that begins a session is given to nobody else', async () => {
    class Sessions extends Visits {}
    Controller()(Sessions);
    const prepare = (app: INestApplication): void => {
      const sessions: SessionService = app.get(SessionService);
      if (platform === 'fastify') {
        void fastifySessions(sessions)(app.getHttpAdapter().getInstance() as never);
        return;
      }
      const middleware = new SessionMiddleware(sessions);
      app.use(middleware.use.bind(middleware));
    };
    const shop = await boot([Sessions], prepare);
    const [first, second] = await twice(shop, '/token');
    for (const { headers } of [first, second]) expect(headers.get('set-cookie')).toMatch(/^sid=/u);
    expect([first.json(), second.json()]).toEqual([{ token: 'token 1' }, { token: 'token 2' }]);
    expect(shop.warnings).toEqual([expect.stringMatching(/token is not cached \(set-cookie\)/u)]);
    // A session that is only looked at is no reason, nor one that is stored again.
    const cookie = first.headers.get('set-cookie')?.split(';')[0] ?? '';
    expect(outcomes(await twice(shop, '/counted', { cookie }))).toEqual(['MISS', 'HIT']);
    expect(outcomes(await twice(shop, '/known'))).toEqual(['MISS', 'HIT']);
  });

  it('RFC 9111, 7.3: whoever waits for an answer that sets a cookie has one of their own', async () => {
    const shop = await boot([Answers], (app) => lateHeader(app, 'set-cookie', 'a=b'));
    const answers = await Promise.all([1, 2, 3].map(() => shop.get('/plain')));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(3);
  });

  it('what is added to a head late does not keep an answer from being stored', async () => {
    const shop = await boot([Answers], (app) => lateHeader(app, 'x-late', 'yes'));
    expect(outcomes(await twice(shop, '/plain'))).toEqual(['MISS', 'HIT']);
  });

  it('whoever takes an answer slowly keeps nobody else waiting for it', async () => {
    const shop = await boot([Answers], endless);
    const slow = begin(`${shop.url}/plain`);
    await expect.poll(() => runs['plain']).toBe(1);
    expect((await shop.get('/plain')).json()).toEqual({ run: 1 });
    slow.hangUp();
  });

  it('a stream that nobody ends keeps nobody else waiting', async () => {
    const shop = await boot([Answers]);
    const first = begin(`${shop.url}/file`);
    await expect.poll(() => runs['file']).toBe(1);
    const second = begin(`${shop.url}/file`);
    await expect.poll(() => runs['file']).toBe(2);
    await expect.poll(() => shop.warnings).toEqual([expect.stringMatching(/file is not cached \(stream\)/u)]);
    first.hangUp();
    second.hangUp();
  });

  it('a listed parameter is listed with all that is in it', async () => {
    const shop = await boot([Answers]);
    const paths = ['/filtered', '/filtered?filter[name]=bob', '/filtered?filter[name]=ann&page=1'];
    for (const path of paths) {
      const [first, second] = await twice(shop, path);
      expect(outcomes([first, second])).toEqual(['MISS', 'HIT']);
      expect(second.json()).toEqual({ url: path });
    }
    const { headers } = await shop.get('/filtered?filters[name]=bob');
    expect(headers.get('cache-status')).toContain('hit');
  });

  it('`unless` keeps an answer from being stored', async () => {
    const shop = await boot([Answers]);
    const [first, second] = await twice(shop, '/partial');
    expect(first.headers.get('cache-status')).toBe('"anbar"; fwd=uri-miss; detail=unless');
    expect([first.json(), second.json()]).toEqual([{ run: 1 }, { run: 2 }]);
    expect(outcomes(await twice(shop, '/partial'))).toEqual(['MISS', 'HIT']);
    expect(shop.warnings).toEqual([]);
  });

  it('`unless` that wants more than the result lets nothing be stored, and the log says so', async () => {
    const shop = await boot([Answers]);
    expect(outcomes(await twice(shop, '/judged'))).toEqual(['MISS', 'MISS']);
    expect(shop.warnings).toEqual([
      expect.stringMatching(/judged is not cached \(unless-arguments\).*result/u),
    ]);
  });

  it('whoever waits for a client that hangs up is not told of it', async () => {
    const shop = await boot([Answers]);
    const leader = begin(`${shop.url}/report`);
    await expect.poll(() => runs['report']).toBe(1);
    const waiting = [1, 2, 3].map(() => shop.get('/report'));
    await pause(50);
    leader.hangUp();
    const answers = await Promise.all(waiting);
    expect(answers.map(({ status, text }) => [status, text])).toEqual(
      [1, 2, 3].map(() => [200, '{"run":2}']),
    );
  });
});

describe.each(PLATFORMS)('a client that hangs up, on %s', (platform) => {
  it('whoever waits in another process is not told of it either', async () => {
    runs = {};
    const namespace = `http-defects-${process.pid}-${platform}-${Date.now().toString(36)}`;
    const options = { timeout: '5s', namespace } as const;
    const one = await serve({ controllers: [Answers] }, { platform, place: 'redis', options });
    const other = await serve({ controllers: [Answers] }, { platform, place: 'redis', options });
    const leader = begin(`${one.url}/report`);
    await expect.poll(() => runs['report']).toBe(1);
    const waiting = ask(`${other.url}/report`, { host: new URL(one.url).host });
    await pause(50);
    leader.hangUp();
    expect((await waiting).text).toBe('{"run":2}');
  });
});
