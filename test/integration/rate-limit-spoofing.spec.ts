/**
 * The spoofing table over real HTTP: whatever a client writes about its address, and however it spells a path, it gets
 * what one client gets; and clients who are several are not taken for one.
 */
import 'reflect-metadata';
import { request } from 'node:http';
import { connect, type AddressInfo, type Server } from 'node:net';
import { Controller, Get, Module, type MiddlewareConsumer, type NestModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { RateLimit, RateLimitMiddleware, RedisModule, type RateLimitOptions } from '@anbar/nestjs-redis';

const LIMIT = 3;
const TRIES = 6;

const ADAPTERS = [
  { name: 'express', create: () => new ExpressAdapter() },
  { name: 'fastify', create: () => new FastifyAdapter() },
  {
    // As generous as it can be made about what is the same path.
    name: 'fastify, generous',
    create: () =>
      new FastifyAdapter({
        routerOptions: {
          caseSensitive: false,
          ignoreDuplicateSlashes: true,
          ignoreTrailingSlash: true,
        },
        useSemicolonDelimiter: true,
      }),
  },
] as const;

@Controller()
class Routes {
  @Get('ip')
  @RateLimit({ name: 'ip', limit: LIMIT, window: '1d' })
  ip(): string {
    return 'served';
  }

  @Get('plain')
  plain(): string {
    return 'served';
  }

  @Get('books/:id')
  book(): string {
    return 'served';
  }
}

@Module({ controllers: [Routes] })
class Limited implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(RateLimitMiddleware).forRoutes('*path');
  }
}

async function serve(adapter: (typeof ADAPTERS)[number], rateLimit: RateLimitOptions): Promise<number> {
  class Served {
    readonly name = 'the test';
  }
  const redis = RedisModule.forRoot({ topology: 'embedded', rateLimit });
  Module(
    rateLimit.endpoints === undefined
      ? { imports: [redis], controllers: [Routes] }
      : { imports: [redis, Limited] },
  )(Served);
  const app = await NestFactory.create(Served, adapter.create(), { logger: false, abortOnError: false });
  // Both families at one port: IPv4 then arrives as IPv6 does, mapped.
  const server = (await app.listen(0, '::')) as Server;
  onTestFinished(() => app.close());
  return (server.address() as AddressInfo).port;
}

interface Asked {
  /** The address the socket has, among those of this machine. */
  readonly from: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
}

function ask(port: number, { from, headers = {} }: Asked): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        port,
        path: '/ip',
        host: from === '::1' ? '::1' : '127.0.0.1',
        localAddress: from,
        headers,
        agent: false,
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      },
    );
    asking.on('error', reject);
    asking.end();
  });
}

/** What arrives at the application from a client behind a proxy: what it wrote, and what the proxy appended. */
const through = (proxy: string, ...chain: string[]): Asked => ({
  from: proxy,
  headers: { 'x-forwarded-for': chain.join(', ') },
});

const forged = (i: number): string => `198.51.100.${i + 1}`;

interface Row {
  readonly what: string;
  /** Of that many clients. */
  readonly clients?: number;
  readonly asked: (i: number) => Asked;
}

const ATTACKS: readonly { readonly trust: RateLimitOptions['trustProxy']; readonly rows: readonly Row[] }[] =
  [
    {
      trust: false,
      rows: [
        { what: 'X-Forwarded-For, another one each time', asked: (i) => through('127.0.1.1', forged(i)) },
        {
          what: 'X-Forwarded-For, longer each time',
          asked: (i) => through('127.0.1.2', ...Array.from({ length: i + 1 }, (_, k) => forged(k))),
        },
        {
          what: 'X-Forwarded-For twice',
          asked: (i) => ({ from: '127.0.1.3', headers: { 'X-Forwarded-For': [forged(i), forged(i + 1)] } }),
        },
        ...[
          'forwarded',
          'x-real-ip',
          'x-client-ip',
          'cf-connecting-ip',
          'true-client-ip',
          'x-cluster-client-ip',
          'fastly-client-ip',
        ].map((name, n): Row => ({
          what: name,
          asked: (i) => ({
            from: `127.0.1.${10 + n}`,
            headers: { [name]: name === 'forwarded' ? `for=${forged(i)}` : forged(i) },
          }),
        })),
        { what: 'several who are several', clients: TRIES, asked: (i) => ({ from: `127.0.2.${i + 1}` }) },
      ],
    },
    {
      trust: 1,
      rows: [
        {
          what: 'invented entries before its own',
          asked: (i) => through('127.0.0.1', forged(i), '203.0.113.1'),
        },
        {
          what: 'entries that look like proxies',
          asked: (i) => through('127.0.0.1', `10.0.0.${i}`, '127.0.0.1', '203.0.113.2'),
        },
        {
          what: 'a chain without an end',
          asked: (i) =>
            through('127.0.0.1', ...Array.from({ length: 200 }, (_, k) => forged(k + i)), '203.0.113.3'),
        },
        {
          what: 'a header of its own before the proxy’s',
          asked: (i) => ({ from: '127.0.0.1', headers: { 'X-Forwarded-For': [forged(i), '203.0.113.4'] } }),
        },
        { what: 'other ports', asked: (i) => through('127.0.0.1', `203.0.113.5:${4_000 + i}`) },
        {
          what: 'spaces, tabs and quotes',
          asked: (i) =>
            through('127.0.0.1', [' 203.0.113.6', '\t203.0.113.6\t', '"203.0.113.6"'][i % 3] ?? ''),
        },
        {
          what: 'mapped, in all ways to write it',
          asked: (i) => through('127.0.0.1', MAPPED[i % MAPPED.length] ?? ''),
        },
        {
          what: 'addresses of one /64',
          asked: (i) => through('127.0.0.1', `2001:db8:7:1:${(i * 7919).toString(16)}::${i}`),
        },
        {
          what: 'one /64, in other spellings',
          asked: (i) => through('127.0.0.1', SPELT[i % SPELT.length] ?? ''),
        },
        {
          what: 'what is no address',
          asked: (i) => through('127.0.0.1', `203.0.113.${i}`, ['unknown', '_hidden', 'x'][i % 3] ?? ''),
        },
        {
          what: 'several who are several',
          clients: TRIES,
          asked: (i) => through('127.0.0.1', `203.0.113.${50 + i}`),
        },
        {
          what: 'several networks',
          clients: TRIES,
          asked: (i) => through('127.0.0.1', `2001:db8:8:${i}::1`),
        },
        {
          what: 'several who are mapped',
          clients: TRIES,
          asked: (i) => through('127.0.0.1', `::ffff:203.0.113.${70 + i}`),
        },
      ],
    },
    {
      trust: ['127.0.0.1', '10.0.0.0/8'],
      rows: [
        { what: 'past the proxy, with a chain', asked: (i) => through('127.0.3.1', forged(i)) },
        {
          what: 'past the proxy, naming the proxy',
          asked: (i) => through('127.0.3.2', forged(i), '127.0.0.1'),
        },
        {
          what: 'through it, naming proxies',
          asked: (i) => through('127.0.0.1', forged(i), '203.0.113.8', '10.0.0.9'),
        },
        {
          what: 'through it, rubbish between',
          asked: (i) => through('127.0.0.1', forged(i), 'x', '10.0.0.8'),
        },
        {
          what: 'several through it',
          clients: TRIES,
          asked: (i) => through('127.0.0.1', `203.0.113.${90 + i}`, '10.0.0.2'),
        },
      ],
    },
  ];

const MAPPED = [
  '203.0.113.7',
  '::ffff:203.0.113.7',
  '::FFFF:CB00:7107',
  '[::ffff:203.0.113.7]:443',
  '0:0:0:0:0:ffff:cb00:7107',
  '64:ff9b::203.0.113.7',
  '2002:cb00:7107:1::1',
];
const SPELT = [
  '2001:db8:9:1::1',
  '2001:0DB8:0009:0001:0000:0000:0000:0002',
  '[2001:db8:9:1::3]:443',
  '2001:db8:9:1::203.0.113.7',
  '2001:db8:9:1:ffff:ffff:ffff:ffff%eth0',
];

/** Ways to write the path of an endpoint; `'/'` is a route of each of them somewhere. */
const SPELLINGS: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => path.toUpperCase(),
  (path) => path.replace(/[a-z]$/u, (letter) => letter.toUpperCase()),
  (path) => `${path}/`,
  (path) => `${path}//`,
  (path) => `/${path}`,
  (path) => `/.${path}`,
  (path) => `/x/..${path}`,
  (path) => `/..${path}`,
  (path) => `/%2e%2e${path}`,
  (path) => `${path}/.`,
  (path) => `${path}/x/..`,
  (path) => `${path}?x=1`,
  (path) => `${path}?`,
  (path) => `${path}#x`,
  (path) => `${path};a=b`,
  (path) => `${path};/a/b`,
  (path) => `${path};a%2Fb`,
  (path) => `${path}%20`,
  (path) => `${path}%00`,
  (path) => `${path}%2F`,
  (path) => `${path}%3Fx`,
  (path) => path.replace(/[a-z]/u, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replace(/[a-z]/gu, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`),
  (path) => path.replace(/[a-z]/u, (letter) => `%25${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replace('/', '%2F'),
  (path) => path.replace('/', '\\'),
  (path) => path.replace(/\/(?=[^/]*$)/u, '//'),
  (path) => path.replace(/\/(?=[^/]*$)/u, '/./'),
  (path) => path.replace(/\/(?=[^/]*$)/u, '/x/../'),
  (path) => path.replace(/\/(?=[^/]*$)/u, '%2f'),
  (path) => path.replace(/\/(?=[^/]*$)/u, '\\'),
  (path) => path.replace(/[^/]*$/u, (last) => `${last}%2F${last}`),
  (path) => path.replace(/[^/]*$/u, (last) => `${last}%5C${last}`),
  (path) => path.replace(/[^/]*$/u, '..'),
  (path) => path.replace(/[^/]*$/u, '.'),
  (path) => path.replace(/[^/]*$/u, '%2e%2e'),
  (path) => path.replace(/[^/]*$/u, ';a'),
  (path) => path.replace(/[^/]*$/u, '..%2f1'),
  (path) => `http://127.0.0.1${path}`,
  (path) => `https://other:1${path}?x`,
  (path) => `HTTP://A@B${path}`,
  (path) => `http:${path}`,
  (path) => path.slice(1),
  (path) => `*${path}`,
];

/** One request as it stands, which no library has tidied up; its status and what it was served. */
function askRaw(port: number, method: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (data: Buffer) => (text += data.toString('latin1')));
    socket.on('error', reject);
    socket.on('close', () =>
      resolve(`${text.slice(9, 12)} ${text.endsWith('served') ? 'served' : ''}`.trim()),
    );
    socket.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, 'latin1');
  });
}

const table: string[] = [];
let bypasses = 0;

afterAll(() => {
  console.log(`${table.join('\n')}\n${table.length} ways, bypasses: ${bypasses}`);
});

describe.each(ADAPTERS.slice(0, 2))('addresses on $name', (adapter) => {
  it.each(ATTACKS)('trust $trust: one client gets what one client gets', async ({ trust, rows }) => {
    const port = await serve(adapter, { trustProxy: trust });
    const wrong: string[] = [];
    for (const { what, clients = 1, asked } of rows) {
      let allowed = 0;
      for (let i = 0; i < TRIES; i += 1) if ((await ask(port, asked(i))) === 200) allowed += 1;
      const due = Math.min(TRIES, clients * LIMIT);
      bypasses += Math.max(0, allowed - due);
      table.push(
        `${adapter.name}, trust ${JSON.stringify(trust)}, ${what}: ${allowed} of ${TRIES}, due ${due}`,
      );
      if (allowed !== due) wrong.push(`${what}: ${allowed} instead of ${due}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe.each(ADAPTERS)('paths on $name', (adapter) => {
  it.each([
    { name: 'GET /plain', path: '/plain' },
    { name: '/books/*', path: '/books/one' },
    { name: '/books/:id among others', path: '/books/one', others: true },
  ])('$name: no spelling is served past its limit', async ({ name, path, others = false }) => {
    const its = { limit: 1, window: '1d', name: 'its' } as const;
    const rest = { limit: 1_000_000, window: '1d', name: 'rest' } as const;
    const endpoints: RateLimitOptions['endpoints'] = others
      ? { '/books/*': its, '/x/**': rest, '/**': rest, '*': rest }
      : { [name]: its };
    const port = await serve(adapter, { endpoints });
    expect(await askRaw(port, 'GET', path)).toBe('200 served');
    expect(await askRaw(port, 'GET', path)).toBe('429');
    const past: string[] = [];
    for (const method of others ? ['GET'] : ['GET', 'HEAD']) {
      for (const spell of SPELLINGS) {
        const answer = await askRaw(port, method, spell(path));
        table.push(`${adapter.name}, ${name}, ${method} ${spell(path)}: ${answer}`);
        if (answer.startsWith('200')) past.push(`${method} ${spell(path)}`);
      }
    }
    bypasses += past.length;
    expect(past).toEqual([]);
  });
});
