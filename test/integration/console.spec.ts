/** The console over HTTP: on Express and Fastify, embedded and on Redis; who may see it, and what it never shows. */
import { get as httpGet, type IncomingMessage } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  CacheService,
  RateLimiter,
  RedisConsoleModule,
  RedisModule,
  ShardedCache,
  type RedisConsoleModuleOptions,
} from '@anbar/nestjs-redis';
import type { RedisModuleOptions } from '../../libs/redis/src/redis.options.js';
import { shared, startStandalone, until } from '../topology/index.js';
import { boot, bootFailure } from './boot.js';
import { listen } from './console-stream.js';
import {
  PLACES,
  PLATFORMS,
  serve,
  type Answer,
  type Place,
  type Platform,
  type Served,
} from './http-boot.js';

const TOKEN = 'a-token-of-enough-characters';
const ASSETS = [
  'caches.mjs',
  'charts.mjs',
  'console.css',
  'dom.mjs',
  'format.mjs',
  'icon.svg',
  'keys.mjs',
  'live.mjs',
  'main.mjs',
  'more-screens.mjs',
  'overview.mjs',
  'shards.mjs',
];
const API = ['snapshot', 'caches', 'shards', 'resilience', 'limits', 'jobs', 'config', 'fleet'];

afterEach(() => {
  vi.unstubAllEnvs();
});

interface Opened {
  readonly app: Served['app'];
  readonly url: string;
  readonly get: (path: string, headers?: Record<string, string>, method?: string) => Promise<Answer>;
}

async function open(
  options: RedisConsoleModuleOptions = {},
  where: Partial<Parameters<typeof serve>[1]> = {},
): Promise<Opened> {
  const module = RedisConsoleModule.forRoot(options);
  const served = await serve({ imports: [module] }, { platform: 'express', ...where });
  const { app, url } = served;
  return { app, url, get: (path, headers, method) => served.get(path, headers, method) };
}

/** With headers that `fetch` does not let one choose. */
function ask(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    httpGet(url, { headers }, (response: IncomingMessage) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).once('error', reject);
  });
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

const everywhere = PLATFORMS.flatMap((platform) =>
  PLACES.map((place): [Platform, Place] => [platform, place]),
);

describe.each(everywhere)('on %s, %s', (platform, place) => {
  it('serves its page, its files and its answers', async () => {
    const { app, get } = await open({}, { platform, place });
    const cache = app.get(CacheService).namespace('books');
    await cache.getOrSet(['book', 1], () => 'one', { tags: ['shelf'], ttl: '1m' });
    await cache.get(['book', 1]);
    await app.get(RateLimiter).consume('somebody', { name: 'search', limit: 1, window: '1m' });

    const bare = await get('/redis-console');
    expect([bare.status, bare.headers.get('location')]).toEqual([302, './redis-console/']);
    const page = await get('/redis-console/');
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
    expect(page.headers.get('content-security-policy')).toContain("require-trusted-types-for 'script'");
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect(page.headers.get('referrer-policy')).toBe('no-referrer');

    for (const name of ASSETS) {
      const asset = await get(`/redis-console/assets/${name}`);
      expect([name, asset.status]).toEqual([name, 200]);
      const again = { 'if-none-match': asset.headers.get('etag') ?? '' };
      expect((await get(`/redis-console/assets/${name}`, again)).status).toBe(304);
    }
    for (const name of API) {
      const answer = await get(`/redis-console/api/${name}`);
      expect([name, answer.status, answer.headers.get('cache-control')]).toEqual([name, 200, 'no-store']);
      expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    }
    for (const path of ['api/nothing', 'api/constructor', 'assets/index.html', 'assets/..%2fpackage.json']) {
      expect([path, (await get(`/redis-console/${path}`)).status]).toEqual([path, 404]);
    }
  });

  it('explains a key, tells of caches and limits, and who answered', async () => {
    const { app, get } = await open({}, { platform, place });
    const books = app.get(CacheService).namespace('books');
    await books.getOrSet(['book', 1], () => 'one', { tags: ['shelf'], ttl: '1m' });
    await books.get(['book', 1]);
    const key = async (text: string): Promise<object> =>
      (await get(`/redis-console/api/key?cache=cache/books&key=${encodeURIComponent(text)}`)).json();
    const found = await key('book:1');
    expect(found).toMatchObject({ state: 'fresh', negative: false, tags: [{ tag: 'shelf', valid: true }] });
    expect(found).not.toHaveProperty('value');
    // As it stands in Redis it is the same key.
    expect(await key(String(Reflect.get(found, 'key')))).toMatchObject({ state: 'fresh' });
    await app.get(CacheService).invalidateTags('shelf');
    expect(await key('book:1')).toMatchObject({ state: 'invalidated', get: 'answers nothing' });
    expect(await key('book:2')).toMatchObject({ state: 'absent', getOrSet: 'runs its loader' });
    expect((await get('/redis-console/api/key?cache=cache/none&key=a')).status).toBe(404);
    expect((await get('/redis-console/api/key?cache=cache/books&key=')).status).toBe(400);
    expect(app.get(CacheService).caches.has('none')).toBe(false);

    const { caches } = (await get('/redis-console/api/caches')).json<{ caches: { id: string }[] }>();
    expect(caches.find(({ id }) => id === 'cache/books')).toMatchObject({ misses: 1, loads: 1, reads: 2 });

    const limit = { name: 'search', limit: 1, window: '1m' } as const;
    await app.get(RateLimiter).consume('somebody', limit);
    await app.get(RateLimiter).consume('somebody', limit);
    const limits = (await get('/redis-console/api/limits')).json<{ total: object; decisions: object[] }>();
    expect(limits.total).toMatchObject({ allowed: 1, denied: 1 });
    expect(limits.decisions).toContainEqual(
      expect.objectContaining({ subject: 'search', outcome: 'denied', count: 1 }) as unknown,
    );
  });

  it('keeps a page up to date, and does not hold up the end', async () => {
    const { app, url, get } = await open({ maxStreams: 1 }, { platform, place });
    const { since } = (await get('/redis-console/api/snapshot')).json<{ since: string }>();
    const stream = await listen(`${url}/redis-console/api/stream?since=${since}`);
    expect(stream.status).toBe(200);
    expect(stream.headers['x-accel-buffering']).toBe('no');
    expect(stream.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(await stream.next('step')).toMatchObject({ points: expect.any(Number) as unknown });
    expect(stream.text).toMatch(/^retry: \d+\nid: \S+\nevent: step\n/u);
    const refused = await get('/redis-console/api/stream');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
    const closing = app.close();
    await stream.ended;
    await closing;
  });
});

describe('the stream', () => {
  it('tells the next step, and a page that was away what it missed', async () => {
    const { url, get } = await open();
    const first = (await get('/redis-console/api/snapshot')).json<{ since: string; step: number }>();
    const stream = await listen(`${url}/redis-console/api/stream?since=${first.since}`);
    await stream.next('step');
    const live = await until(() => stream.events.find(({ data }) => Number(data['step']) >= first.step + 2), {
      what: 'the second step from here',
      timeout: 18_000,
    });
    expect(live.name).toBe('step');
    // Each event has what came since the one before.
    const sent = stream.events.reduce((sum, { data }) => sum + Number(data['points']), 0);
    expect(sent).toBe(Number(stream.events.at(-1)?.data['step']) - first.step);
    stream.close();
    const back = await listen(`${url}/redis-console/api/stream`, { 'last-event-id': first.since });
    const missed = await back.next('step');
    expect(missed['points']).toBe(Number(missed['step']) - first.step);
    back.close();
    const stranger = await listen(`${url}/redis-console/api/stream`, {
      'last-event-id': `another.${first.step}.0`,
    });
    expect(await stranger.next('reset')).toMatchObject({ points: 0 });
    stranger.close();
  }, 60_000);

  it('is replaced by a snapshot with an ETag', async () => {
    const { get } = await open();
    await until(
      async () => {
        const { headers } = await get('/redis-console/api/snapshot');
        const etag = headers.get('etag') ?? '';
        return (await get('/redis-console/api/snapshot', { 'if-none-match': etag })).status === 304;
      },
      { what: '304 within a step' },
    );
  });

  it('tells of a Redis that is killed at once, and of its return', async () => {
    const server = await startStandalone();
    onTestFinished(() => server.stop());
    const { url, get } = await open({}, { options: { topology: 'standalone', url: server.url } });
    const up = async (): Promise<number> =>
      (await get('/redis-console/api/snapshot')).json<{ state: { up: number } }>().state.up;
    await until(async () => (await up()) === 1, { what: 'Redis' });
    const stream = await listen(`${url}/redis-console/api/stream`);
    const killedAt = performance.now();
    await server.process.kill();
    await until(() => stream.events.some(({ data }) => Reflect.get(Object(data['state']), 'up') === 0), {
      what: 'the loss in the stream',
      timeout: 15_000,
    });
    expect(performance.now() - killedAt).toBeLessThan(6_000);
    const { incidents } = (await get('/redis-console/api/resilience')).json<{
      incidents: { kind: string }[];
    }>();
    expect(incidents.map(({ kind }) => kind)).toContain('connection.lost');
    await server.process.restart('empty');
    await until(async () => (await up()) === 1, { what: 'its return', timeout: 15_000 });
    stream.close();
  });
});

describe('where it lies', () => {
  it.each(PLATFORMS)('is any path below any prefix, on %s', async (platform) => {
    const { get } = await open(
      { path: '/ops/redis/' },
      { platform, prepare: (app) => app.setGlobalPrefix('internal/v2') },
    );
    const bare = await get('/internal/v2/ops/redis?from=link');
    expect([bare.status, bare.headers.get('location')]).toEqual([302, './redis/']);
    expect((await get('/internal/v2/ops/redis/')).status).toBe(200);
    expect((await get('/internal/v2/ops/redis/assets/main.mjs')).status).toBe(200);
    expect((await get('/internal/v2/ops/redis/api/snapshot')).status).toBe(200);
    expect((await get('/ops/redis/')).status).toBe(404);
  });

  it('its page names nothing outside itself, and no other place', async () => {
    const { get } = await open();
    const paths = ['', ...ASSETS.map((name) => `assets/${name}`)];
    const texts = await Promise.all(paths.map(async (path) => (await get(`/redis-console/${path}`)).text));
    for (const text of texts) {
      expect(text.match(/(?:src|href|from|import)\s*[=(]?\s*['"]\/[^'"]*/gu)).toBeNull();
      expect(text.match(/https?:\/\/(?!www\.w3\.org\/2000\/svg)[^'"\s]*/gu)).toBeNull();
      expect(
        text.match(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b/gu),
      ).toBeNull();
    }
  });

  it('its files are small on the way', async () => {
    const { url } = await open();
    const sizes = await Promise.all(
      ['', ...ASSETS.map((name) => `assets/${name}`)].map(
        (path) =>
          new Promise<number>((resolve) => {
            httpGet(
              `${url}/redis-console/${path}`,
              { headers: { 'accept-encoding': 'gzip' } },
              (response) => {
                const parts: Buffer[] = [];
                response.on('data', (part: Buffer) => parts.push(part));
                response.on('end', () => {
                  const bytes = Buffer.concat(parts);
                  expect(gunzipSync(bytes).length).toBeGreaterThan(0);
                  resolve(bytes.length);
                });
              },
            );
          }),
      ),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(30_000);
  });
});

describe('who may see it', () => {
  it('in production it refuses to start without guards or a token, and says what to do', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    const error = await bootFailure({
      imports: [
        RedisModule.forRoot({ topology: 'embedded' }),
        RedisConsoleModule.forRoot({ allowRemote: true }),
      ],
    });
    expect(error).toMatchObject({
      code: 'CONSOLE_UNGUARDED',
      hint: expect.stringContaining('guards') as unknown,
    });
  });

  it('starts there with a token, which browsers and programs can give', async () => {
    vi.stubEnv('NODE_ENV', 'production');
    const { get } = await open({ token: TOKEN }, { options: { topology: 'embedded' } });
    const basic = (text: string): Record<string, string> => ({
      authorization: `Basic ${Buffer.from(text).toString('base64')}`,
    });
    for (const path of ['', 'assets/main.mjs', 'api/snapshot', 'api/stream']) {
      const { status, headers, text } = await get(`/redis-console/${path}`);
      expect([path, status]).toEqual([path, 401]);
      expect(headers.get('www-authenticate')).toMatch(/^Basic /u);
      expect(text).not.toContain(TOKEN);
    }
    for (const wrong of [
      bearer('x'),
      bearer(`${TOKEN}x`),
      basic('me:'),
      basic(TOKEN + 'x'),
      { authorization: TOKEN },
    ]) {
      expect((await get('/redis-console/api/snapshot', wrong)).status).toBe(401);
    }
    expect((await get('/redis-console/api/snapshot', bearer(TOKEN))).status).toBe(200);
    expect((await get('/redis-console/', basic(`me:${TOKEN}`))).status).toBe(200);
  });

  it('a token that can be guessed is refused', () => {
    expect(() => RedisConsoleModule.forRoot({ token: 'short' })).toThrow(/shorter than 16/u);
    expect(() => RedisConsoleModule.forRoot({ maxStreams: -1 })).toThrow(/maxStreams/u);
  });

  it.each(PLATFORMS)('guards stand before every route, on %s', async (platform) => {
    @Injectable()
    class Admins implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
        return headers['x-role'] === 'admin';
      }
    }
    vi.stubEnv('NODE_ENV', 'production');
    const { get } = await open({ guards: [Admins] }, { platform, options: { topology: 'embedded' } });
    for (const path of ['', 'assets/main.mjs', 'api/snapshot', 'api/stream', 'api/fleet']) {
      expect([path, (await get(`/redis-console/${path}`)).status]).toEqual([path, 403]);
    }
    // Guarded, it is no matter of addresses any more.
    const admin = { 'x-role': 'admin', 'x-forwarded-for': '203.0.113.7' };
    expect((await get('/redis-console/api/snapshot', admin)).status).toBe(200);
    expect((await get('/redis-console/', admin)).status).toBe(200);
  });

  it('without either it answers this machine only', async () => {
    const { url } = await open();
    const { port } = new URL(url);
    const at = `http://127.0.0.1:${port}/redis-console/api/snapshot`;
    expect(await ask(at, {})).toBe(200);
    expect(await ask(at, { host: `localhost:${port}` })).toBe(200);
    // A name of somebody else that was made to lead here, and a proxy that brings everybody.
    expect(await ask(at, { host: `rebound.example:${port}` })).toBe(403);
    expect(await ask(at, { host: '127.0.0.1.example' })).toBe(403);
    for (const header of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via']) {
      expect(await ask(at, { [header]: '127.0.0.1' })).toBe(403);
    }
    expect(await ask(`http://127.0.0.1:${port}/redis-console/`, { host: 'rebound.example' })).toBe(403);
  });

  it('answers everybody where that is said', async () => {
    const { url } = await open({ allowRemote: true });
    const { port } = new URL(url);
    expect(await ask(`http://127.0.0.1:${port}/redis-console/api/snapshot`, { host: 'ops.example' })).toBe(
      200,
    );
  });

  it('does not answer pages of other origins, but lets their links in', async () => {
    const { url } = await open();
    // `fetch` says of itself that its mode is cors, whatever one says.
    const status = (path: string, site: string, mode: string): Promise<number> =>
      ask(`${url.replace('[::1]', '127.0.0.1')}/redis-console/${path}`, {
        'sec-fetch-site': site,
        'sec-fetch-mode': mode,
      });
    expect(await status('api/snapshot', 'cross-site', 'cors')).toBe(403);
    expect(await status('api/snapshot', 'same-site', 'no-cors')).toBe(403);
    expect(await status('api/snapshot', 'cross-site', 'navigate')).toBe(403);
    expect(await status('api/snapshot', 'same-origin', 'cors')).toBe(200);
    expect(await status('', 'cross-site', 'navigate')).toBe(200);
    expect(await status('assets/main.mjs', 'cross-site', 'no-cors')).toBe(403);
  });

  it('nothing can be done by it', async () => {
    const { get } = await open();
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      for (const name of API) {
        expect((await get(`/redis-console/api/${name}`, {}, method)).status).toBe(404);
      }
    }
  });
});

describe('what it never shows', () => {
  const SECRETS = [
    'pass-word-of-redis',
    'user-of-redis',
    Buffer.from('0f1e2d3c4b5a69788796a5b4c3d2e1f0112233445566778899aabbccddeeff01', 'hex').toString('base64'),
    'value-of-a-key',
  ];

  async function everything(options: RedisConsoleModuleOptions, redis: RedisModuleOptions): Promise<string> {
    const { app, get } = await open(options, { options: redis });
    await app.get(CacheService).set('book:1', 'value-of-a-key');
    await app.get(CacheService).get('book:1');
    const paths = [
      ...API.map((name) => name),
      'key?cache=cache/default&key=book:1',
      'keys?cache=cache/default',
    ];
    const answers = await Promise.all(
      paths.map(async (path) => (await get(`/redis-console/api/${path}`)).text),
    );
    return answers.join('\n');
  }

  it('is a secret of the configuration, a value, or a name of a key nobody gave', async () => {
    const server = await startStandalone({
      acl: { user: SECRETS[1] ?? '', password: SECRETS[0] ?? '', rules: '~* &* +@all' },
    });
    onTestFinished(() => server.stop());
    const text = await everything(
      {},
      {
        topology: 'standalone',
        url: server.url,
        codec: { encryption: { keys: [{ id: 'one', secret: SECRETS[2] ?? '' }] } },
        connections: { reports: { topology: 'embedded' } },
      },
    );
    for (const secret of SECRETS) expect(text).not.toContain(secret);
    expect(text).toContain('KEYS_HIDDEN');
    expect(text).toContain('"option":"password","value":"•••"');
  });

  it('unless it is told to', async () => {
    const { app, get } = await open({ browseKeys: true, showValues: true });
    const cache = app.get(CacheService);
    await Promise.all(['a:b', 'user:1', 'user:2', '100%'].map((key) => cache.set(key, { of: key })));
    await cache.set(['a:b', 'c'], 'segments');
    const list = async (prefix: string): Promise<string[]> => {
      const answer = await get(`/redis-console/api/keys?cache=cache/default&prefix=${prefix}`);
      return answer.json<{ keys: string[] }>().keys;
    };
    expect(await list('user')).toEqual(['user:1', 'user:2']);
    expect(await list('')).toHaveLength(5);
    const { before, after, keys } = (await get('/redis-console/api/keys?cache=cache/default')).json<{
      before: string;
      after: string;
      keys: string[];
    }>();
    for (const key of keys) {
      const name = encodeURIComponent(before + key + after);
      const answer = await get(`/redis-console/api/key?cache=cache/default&key=${name}`);
      expect(answer.json<object>()).toMatchObject({ state: 'fresh', value: expect.any(String) as unknown });
    }
    const long = 'x'.repeat(5_000);
    await cache.set('long', long);
    const shown = (await get('/redis-console/api/key?cache=cache/default&key=long')).json<{
      value: string;
      cut: boolean;
    }>();
    expect(shown.value.length).toBe(4_096);
    expect(shown.cut).toBe(true);
  });
});

describe('all processes', () => {
  it('are asked, and those that are there answer', async () => {
    const { url } = await shared('standalone');
    const options = {
      topology: 'standalone' as const,
      url,
      namespace: `fleet-${process.pid}-${Date.now().toString(36)}`,
    };
    const one = await open({}, { options });
    const two = await open({}, { options, platform: 'fastify' });
    await two.app.get(CacheService).namespace('books').get('a');
    const view = await until(
      async () => {
        const answer = (await one.get('/redis-console/api/fleet')).json<{
          processes: object[];
          missing: string | null;
          caches: { name: string }[];
        }>();
        return answer.processes.length === 2 && answer.missing === null && answer;
      },
      { what: 'two processes', every: 200 },
    );
    expect(view.caches).toContainEqual(
      expect.objectContaining({ name: 'books', reads: 1, processes: 1 }) as unknown,
    );
    await two.app.close();
    await until(
      async () =>
        (await one.get('/redis-console/api/fleet')).json<{ processes: object[] }>().processes.length === 1,
      { what: 'one process', every: 200, timeout: 15_000 },
    );
  });

  it('are not asked where that is off, and Redis that is away is told', async () => {
    const off = await open({ fleet: false });
    expect((await off.get('/redis-console/api/fleet')).json()).toMatchObject({
      processes: [{ up: 1 }],
      missing: expect.stringContaining('fleet is false') as unknown,
    });
    const server = await startStandalone();
    onTestFinished(() => server.stop());
    const { get } = await open({}, { options: { topology: 'standalone', url: server.url } });
    await server.process.kill();
    await until(async () => /Redis does not answer/u.test((await get('/redis-console/api/fleet')).text), {
      what: 'that nobody can be asked',
      every: 200,
      timeout: 15_000,
    });
  });
});

describe('shards', () => {
  it('are shown with their shares, where a key goes, and what would move', async () => {
    const servers = await Promise.all([startStandalone(), startStandalone(), startStandalone()]);
    onTestFinished(async () => void (await Promise.all(servers.map((server) => server.stop()))));
    const ids = ['amber', 'birch', 'cedar'];
    const shards = Object.fromEntries(
      ids.map((id, i) => [id, { url: servers[i]?.url ?? '', weight: i === 0 ? 2 : 1 }]),
    );
    const { app, get } = await open({}, { options: { topology: 'embedded', shards } });
    const sharded = app.get(ShardedCache);
    await sharded.connect({ timeout: '10s' });
    await sharded.get('user:1');
    const view = (await get('/redis-console/api/shards?key=user:1&without=amber')).json<{
      shard: string;
      shards: Record<string, { slots: number; weight: number }>;
      removal: { moved: number; shares: { id: string; before: number; after: number }[] };
    }>();
    expect(view.shard).toBe(sharded.shardFor('user:1'));
    expect(Object.keys(view.shards).toSorted()).toEqual(ids);
    expect(view.shards['amber']?.slots).toBe(8_192);
    expect(view.removal.moved).toBe(0.5);
    expect(view.removal.shares).toEqual([
      { id: 'birch', before: 0.25, after: 0.5 },
      { id: 'cedar', before: 0.25, after: 0.5 },
    ]);
    const none = (await get('/redis-console/api/shards?without=nobody')).json();
    expect(none).toMatchObject({ removal: null });
  });
});

it('stands in an application without HTTP, and does nothing there', async () => {
  const { app } = await boot({
    imports: [RedisModule.forRoot({ topology: 'embedded' }), RedisConsoleModule.forRoot()],
  });
  expect(app.get(RedisConsoleModule)).toBeInstanceOf(RedisConsoleModule);
});

it('without the module there is no console', async () => {
  const served = await serve({}, { platform: 'express' });
  expect((await served.get('/redis-console/')).status).toBe(404);
});

it('says what is missing when RedisModule is not there', async () => {
  const app = NestFactory.create(RedisConsoleModule.forRoot(), { logger: false, abortOnError: false });
  await expect(app).rejects.toThrow(/import RedisModule/u);
});
