/**
 * Users, cookies, tokens, languages, hosts and unkeyed parameters in random order, against handlers that tell all they
 * have seen. An answer must never tell of another request than the one it answers.
 *
 * `HTTP_HUNT_REQUESTS=100000 HTTP_HUNT_SEED=7 npx vitest run test/integration/http-cache-isolation.spec.ts` hunts long.
 */
import {
  Controller,
  Get,
  Header,
  Query,
  Req,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
  type NestInterceptor,
} from '@nestjs/common';
import { Agent, request as send } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { answerAtDoor, Cacheable, CacheInterceptor, HttpCache } from '@anbar/nestjs-redis';
import { seededRandom } from '../topology/seeded-random.js';
import { PLATFORMS, serve } from './http-boot.js';

const SEED = Number(process.env['HTTP_HUNT_SEED'] ?? 20_261_121);
const REQUESTS = Number(process.env['HTTP_HUNT_REQUESTS'] ?? 1_000);
const AT_ONCE = 16;
/** A long hunt takes its time, most of all beside others. */
const PATIENCE_MS = 600_000 + 30 * REQUESTS;

interface Asking {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly originalUrl?: string;
  readonly url: string;
  user?: { id: string };
}

/** What the answer is made of: all that a handler can see of a request. */
interface Seen {
  readonly route: string;
  readonly user: string | null;
  readonly cookie: string | null;
  readonly language: string | null;
  readonly tenant: string | null;
  readonly host: string | null;
  readonly query: Readonly<Record<string, unknown>>;
}

class Tokens implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Asking>();
    const token = request.headers['authorization'];
    if (token !== undefined) request.user = { id: token.slice(7) };
    return true;
  }
}

function seen(route: string, request: Asking, query: Record<string, unknown>): Seen {
  const header = (name: string): string | null => request.headers[name] ?? null;
  return {
    route,
    user: request.user?.id ?? null,
    cookie: header('cookie'),
    language: header('accept-language'),
    tenant: header('x-tenant'),
    host: header('x-forwarded-host'),
    query,
  };
}

@Controller('hunt')
@UseGuards(Tokens)
class Hunted {
  @Get('public')
  @Cacheable({ ttl: '1m', vary: ['accept-language', 'x-tenant'] })
  public(@Req() request: Asking, @Query() query: Record<string, unknown>): Seen {
    return seen('public', request, query);
  }

  @Get('mine')
  @Cacheable({ ttl: '1m', by: 'user', vary: ['accept-language', 'x-tenant', 'cookie'] })
  mine(@Req() request: Asking, @Query() query: Record<string, unknown>): Seen {
    return seen('mine', request, query);
  }

  @Get('listed')
  @Cacheable({ ttl: '1m', query: ['page'], vary: ['accept-language', 'x-tenant'] })
  listed(@Req() request: Asking, @Query() query: Record<string, unknown>): Seen {
    return seen('listed', request, query);
  }

  @Get('tenant')
  @Cacheable({ ttl: '1m', cache: 'tenants', vary: ['accept-language'] })
  tenant(@Req() request: Asking, @Query() query: Record<string, unknown>): Seen {
    return seen('tenant', request, query);
  }

  @Get('intercepted')
  @UseInterceptors(CacheInterceptor)
  @HttpCache({ ttl: '1m', vary: ['accept-language', 'x-tenant'] })
  intercepted(@Req() request: Asking, @Query() query: Record<string, unknown>): Seen {
    return seen('intercepted', request, query);
  }

  @Get('cookies')
  @Header('set-cookie', 'visit=1')
  @Cacheable({ ttl: '1m', by: 'everyone', vary: ['accept-language', 'x-tenant'] })
  cookies(@Req() request: Asking, @Query() query: Record<string, unknown>): Seen {
    return seen('cookies', request, query);
  }
}

/** Of all requests for what is answered at the door those that came further. */
class FurtherIn implements NestInterceptor {
  static seen = 0;

  intercept(_context: ExecutionContext, next: CallHandler): ReturnType<CallHandler['handle']> {
    FurtherIn.seen += 1;
    return next.handle();
  }
}

/** No guard stands here, so nobody is known by a token: to all who have one the handler answers itself. */
@Controller('hunt')
@UseInterceptors(FurtherIn)
class HuntedAtDoor {
  @Get('door')
  @Cacheable({ ttl: '1m', atDoor: true, vary: ['accept-language', 'x-tenant'] })
  door(@Req() request: Asking, @Query() query: Record<string, unknown>): Seen {
    return seen('door', request, query);
  }
}

interface Shot {
  readonly expected: Seen;
  readonly path: string;
  readonly headers: Record<string, string>;
}

const ROUTES = ['public', 'mine', 'listed', 'tenant', 'intercepted', 'cookies', 'door'] as const;

function shots(random: () => number): () => Shot {
  const one = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  /** Mostly the first, or nothing would ever be asked twice. */
  const mostly = <T>(items: readonly T[]): T => (random() < 0.7 ? (items[0] as T) : one(items));
  return () => {
    const route = one(ROUTES);
    const user = one([undefined, undefined, 'ann', 'ann', 'bob', 'user:bob']);
    const cookie = mostly([undefined, 'sid=1', 'sid=2', 'theme=dark']);
    const language = mostly(['fa', 'en', 'fa|x-tenant=a', undefined]);
    const tenant = mostly(['a', 'b', 'a:b', 'a%3Ab', undefined]);
    const host = mostly([undefined, 'evil.example', 'shop.example']);
    const pairs = mostly([
      [],
      ['page=1'],
      ['page=2'],
      ['page=1', 'page=2'],
      ['page=2', 'page=1'],
      ['page=1', 'evil=1'],
      ['p%61ge=1', 'page=2'],
      ['page=2', 'p%61ge=1'],
      ['page=1&', 'x=a+b'],
      ['page=1', 'x=a%20b'],
    ]);
    const headers: Record<string, string> = {
      ...(user === undefined ? {} : { authorization: `Bearer ${user}` }),
      ...(cookie === undefined ? {} : { cookie }),
      ...(language === undefined ? {} : { 'accept-language': language }),
      ...(tenant === undefined ? {} : { 'x-tenant': tenant }),
      ...(host === undefined ? {} : { 'x-forwarded-host': host }),
    };
    const query = Object.fromEntries(
      [...new Set(pairs.map((pair) => decode(pair).name))].map((name) => {
        const values = pairs
          .map(decode)
          .filter((pair) => pair.name === name)
          .map(({ value }) => value);
        return [name, values.length === 1 ? values[0] : values];
      }),
    );
    const expected: Seen = {
      route,
      user: route === 'door' ? null : (user ?? null),
      cookie: cookie ?? null,
      language: language ?? null,
      tenant: tenant ?? null,
      host: host ?? null,
      query,
    };
    return { expected, path: `/hunt/${route}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`, headers };
  };
}

function decode(pair: string): { name: string; value: string } {
  const [name = '', value = ''] = pair
    .replace('&', '')
    .split('=')
    .map((part) => decodeURIComponent(part.replaceAll('+', ' ')));
  return { name, value };
}

/** `listed` says that only `page` counts: it may be answered with what another request without more was told. */
function agrees(told: Seen, { expected }: Shot): boolean {
  if (expected.route !== 'listed') return same(told, expected);
  const page = (said: Seen): Seen => ({
    ...said,
    query: 'page' in said.query ? { page: said.query['page'] } : {},
  });
  const unlisted = Object.keys(told.query).some((name) => name !== 'page' && !(name in expected.query));
  return !unlisted && same(page(told), page(expected));
}

function same(one: Seen, other: Seen): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

function ask(url: string, { path, headers }: Shot): Promise<{ told: Seen; cache: string }> {
  return new Promise((resolve, reject) => {
    const sent = send(url + path, { headers, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        resolve({ told: JSON.parse(text) as Seen, cache: String(response.headers['x-cache']) });
      });
    });
    sent.on('error', reject).end();
  });
}

describe.each(PLATFORMS)('on %s', (platform) => {
  it(
    `of ${REQUESTS} requests none is told of another (seed ${SEED})`,
    async () => {
      const options = {
        contexts: { tenant: (request: unknown) => (request as Asking).headers['x-tenant'] },
        caches: { tenants: { contexts: ['tenant'] } },
      };
      const prepare = (app: INestApplication): void => answerAtDoor(app);
      const controllers = [Hunted, HuntedAtDoor];
      const { url } = await serve({ controllers }, { platform, options, prepare });
      FurtherIn.seen = 0;
      let asked = 0;
      onTestFinished(() => agent.destroy());
      const next = shots(seededRandom(SEED));
      const told = { HIT: 0, MISS: 0, BYPASS: 0 } as Record<string, number>;
      const leaks: unknown[] = [];
      let left = REQUESTS;
      const worker = async (): Promise<void> => {
        while (left > 0) {
          left -= 1;
          const shot = next();
          const answer = await ask(url, shot);
          if (shot.expected.route === 'door') asked += 1;
          told[answer.cache] = (told[answer.cache] ?? 0) + 1;
          if (!agrees(answer.told, shot)) leaks.push({ ...shot, ...answer });
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      if (REQUESTS > 10_000) console.log(platform, REQUESTS, told, `leaks ${leaks.length}`);
      expect(leaks).toEqual([]);
      // A hunt without hits would find nothing.
      expect(told['HIT']).toBeGreaterThan(REQUESTS / 10);
      expect(asked - FurtherIn.seen).toBeGreaterThan(REQUESTS / 100);
      expect(told['BYPASS']).toBeGreaterThan(REQUESTS / 10);
    },
    PATIENCE_MS,
  );
});
