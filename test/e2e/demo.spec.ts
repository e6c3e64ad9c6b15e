/** Every route of the demo, on the embedded default and on Redis: one table, two places. */
import 'reflect-metadata';
import type { INestApplication } from '@nestjs/common';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { FakeModel } from '../../src/assistant/fake-model.js';
import { openShop } from '../../src/shop.js';
import { startStandalone, until } from '../topology/index.js';
import { OrderFeed } from './order-feed.js';
import { OrderSocket } from './order-socket.js';
import { Visitor } from './shop-client.js';

interface ProductList {
  readonly from: 'cache' | 'database';
  readonly products: readonly { readonly id: number; readonly title: string; readonly priceCents: number }[];
}

interface Order {
  readonly id: number;
  readonly status: string;
  readonly announced?: boolean;
}

interface Device {
  readonly handle: string;
  readonly agent: string;
  readonly here: boolean;
}

interface Place {
  readonly topology: 'embedded' | 'standalone';
  readonly app: INestApplication;
  readonly url: string;
}

const ADA = { 'x-api-key': 'card-ada' };
const GRACE = { 'x-api-key': 'card-grace' };
/** What is for this machine only is not for names that somebody may have pointed at it. */
const LOCAL = { host: '127.0.0.1' };

async function loggedIn({ url }: Place, reader: string, device: string): Promise<Visitor> {
  const visitor = new Visitor(url);
  const { status } = await visitor.post('/account/login', { reader, password: reader, device });
  expect(status).toBe(200);
  expect(visitor.cookie).toBeDefined();
  return visitor;
}

async function finished(
  visitor: Visitor,
  id: string,
): Promise<{ state: string; attempts: number; failure?: string }> {
  return until(
    async () => {
      const { body } = await visitor.get<{ state: string; attempts: number }>(`/tasks/${id}`);
      return ['completed', 'failed'].includes(body.state) && body;
    },
    { what: `the task ${id} to end`, timeout: 60_000, every: 50 },
  );
}

/** All at once, so that what a limit gives back meanwhile does not count. */
function knocks<T>(count: number, knock: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => knock(index)));
}

type Check = (place: Place, visitor: Visitor) => Promise<void>;

/** Each row begins with a visitor nobody knows, and leaves readers and limits of others alone. */
const ROUTES: readonly (readonly [route: string, check: Check])[] = [
  [
    'GET /',
    async (_, visitor) => {
      const { status, body, headers } = await visitor.get<string>('/');
      expect(status).toBe(200);
      expect(headers['content-type']).toBe('text/html; charset=utf-8');
      expect(headers['content-security-policy']).toBe(
        "default-src 'none';script-src 'self';style-src 'self';img-src 'self';connect-src 'self';" +
          "form-action 'none';base-uri 'none';frame-ancestors 'none'",
      );
      expect(body).not.toMatch(/<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=|https?:\/\//u);
    },
  ],
  [
    'GET /page/:file',
    async (_, visitor) => {
      const { body: page } = await visitor.get<string>('/');
      const named = [...page.matchAll(/(?:src|href)="(\/page\/[^"]+)"/gu)].map(([, path]) => path ?? '');
      expect(named.length).toBeGreaterThanOrEqual(3);
      for (const path of named) expect((await visitor.get(path)).status).toBe(200);
      expect((await visitor.get('/page/shop.mjs')).headers['content-type']).toBe(
        'text/javascript; charset=utf-8',
      );
      for (const path of ['/page/absent.css', '/page/..%2Fapp.module.ts', '/page/index.html'])
        expect((await visitor.get(path)).status).toBe(404);
    },
  ],
  [
    'GET /products',
    async (_, visitor) => {
      const first = await visitor.get<ProductList>('/products');
      expect(first).toMatchObject({
        status: 200,
        body: { from: 'database' },
        headers: { 'x-cache': 'MISS' },
      });
      expect(first.body.products).toHaveLength(8);
      const second = await visitor.get<ProductList>('/products');
      expect(second).toMatchObject({
        body: { from: 'cache', products: first.body.products },
        headers: { 'x-cache': 'HIT' },
      });
      expect((await visitor.get<ProductList>('/products?shelf=ink')).body.products).toHaveLength(2);
      expect((await visitor.get('/products?shelf=__proto__')).status).toBe(400);
      expect(second.headers['ratelimit-policy']).toBe('"products";q=100;w=60');
    },
  ],
  [
    'GET /products/explain',
    async (_, visitor) => {
      await visitor.get('/products?shelf=tools');
      const { status, body } = await visitor.get('/products/explain?shelf=tools');
      expect(status).toBe(200);
      expect(JSON.stringify(body)).toContain('shelf:tools');
    },
  ],
  [
    'PUT /products/:id/price',
    async (_, visitor) => {
      for (const shelf of ['paper', 'ink']) await visitor.get(`/products?shelf=${shelf}`);
      const changed = await visitor.ask('PUT', '/products/3/price', { body: { priceCents: 995 } });
      expect(changed).toMatchObject({ status: 200, body: { id: 3, priceCents: 995 } });
      const ink = await visitor.get<ProductList>('/products?shelf=ink');
      expect(ink.body.from).toBe('database');
      expect(ink.body.products[0]).toMatchObject({ id: 3, priceCents: 995 });
      expect((await visitor.get<ProductList>('/products')).body.from).toBe('database');
      expect((await visitor.get<ProductList>('/products?shelf=paper')).body.from).toBe('cache');
      for (const body of [{}, { priceCents: -1 }, { priceCents: '995' }, null])
        expect((await visitor.ask('PUT', '/products/1/price', { body })).status).toBe(400);
      expect((await visitor.ask('PUT', '/products/one/price', { body: { priceCents: 1 } })).status).toBe(400);
      expect((await visitor.ask('PUT', '/products/99/price', { body: { priceCents: 1 } })).status).toBe(404);
    },
  ],
  [
    'GET /status/:runId',
    async (_, visitor) => {
      const first = await visitor.get('/status/kelidar');
      expect(first).toMatchObject({
        status: 200,
        body: { state: 'done', percent: 100 },
        headers: { 'x-cache': 'MISS' },
      });
      expect(first.headers['cache-status']).toBe('"anbar"; fwd=uri-miss; stored; ttl=30');
      const second = await visitor.get('/status/kelidar');
      expect(second).toMatchObject({ body: first.body, headers: { 'x-cache': 'HIT' } });
      const copy = await visitor.get('/status/kelidar', { 'if-none-match': first.headers['etag'] ?? '' });
      expect(copy).toMatchObject({ status: 304, body: '' });
      expect((await visitor.get('/status/absent')).status).toBe(404);
    },
  ],
  [
    'GET /books/my',
    async (place, visitor) => {
      expect((await visitor.get('/books/my')).status).toBe(401);
      expect((await visitor.get('/books/my', { 'x-api-key': 'card-nobody' })).status).toBe(401);
      const first = await visitor.get('/books/my', ADA);
      expect(first).toMatchObject({ status: 200, body: { reader: 'ada' }, headers: { 'x-cache': 'MISS' } });
      expect(await visitor.get('/books/my', ADA)).toMatchObject({
        body: first.body,
        headers: { 'x-cache': 'HIT' },
      });
      expect(await visitor.get('/books/my', GRACE)).toMatchObject({
        body: { reader: 'grace' },
        headers: { 'x-cache': 'MISS' },
      });
      // The same reader, whether known by a card or by a session.
      const session = await loggedIn(place, 'ada', 'a browser');
      expect(await session.get('/books/my')).toMatchObject({
        body: first.body,
        headers: { 'x-cache': 'HIT' },
      });
      const copy = { ...ADA, 'if-none-match': first.headers['etag'] ?? '' };
      expect((await visitor.get('/books/my', copy)).status).toBe(304);
      expect(
        (await visitor.get('/books/my', { ...GRACE, 'if-none-match': copy['if-none-match'] })).status,
      ).toBe(200);
    },
  ],
  [
    'POST /books/my',
    async (_, visitor) => {
      for (const card of [ADA, GRACE]) await visitor.get('/books/my', card);
      const added = await visitor.post('/books/my', { title: 'Shahnameh' }, ADA);
      expect(added).toMatchObject({ status: 201, body: { title: 'Shahnameh' } });
      const after = await visitor.get<{ books: { title: string }[] }>('/books/my', ADA);
      expect(after.headers['x-cache']).toBe('MISS');
      expect(after.body.books.map(({ title }) => title)).toContain('Shahnameh');
      expect((await visitor.get('/books/my', GRACE)).headers['x-cache']).toBe('HIT');
      expect((await visitor.post('/books/my', { title: ' ' }, ADA)).status).toBe(400);
      expect((await visitor.post('/books/my', { title: 'x' })).status).toBe(401);
    },
  ],
  [
    'DELETE /books/my/:id',
    async (_, visitor) => {
      const { body } = await visitor.post<{ id: number }>('/books/my', { title: 'Lost' }, ADA);
      expect((await visitor.ask('DELETE', `/books/my/${body.id}`, { headers: GRACE })).status).toBe(404);
      expect((await visitor.ask('DELETE', `/books/my/${body.id}`, { headers: ADA })).status).toBe(204);
      const after = await visitor.get<{ books: { title: string }[] }>('/books/my', ADA);
      expect(after.body.books.map(({ title }) => title)).not.toContain('Lost');
    },
  ],
  [
    'GET /account',
    async (_, visitor) => {
      expect(await visitor.get('/account')).toMatchObject({
        status: 200,
        body: { reader: null, basket: [] },
      });
      expect(visitor.cookie).toBeUndefined();
    },
  ],
  [
    'POST /account/login',
    async (place, visitor) => {
      expect((await visitor.post('/account/login', { reader: 'omar', password: 'ada' })).status).toBe(401);
      expect((await visitor.post('/account/login', { reader: 'nobody', password: 'nobody' })).status).toBe(
        401,
      );
      expect((await visitor.post('/account/login', {})).status).toBe(400);
      expect(visitor.cookie).toBeUndefined();
      const omar = await loggedIn(place, 'omar', 'a desk');
      expect((await omar.get('/account')).body).toEqual({ reader: 'omar', basket: [] });
    },
  ],
  [
    'POST /account/basket',
    async ({ url }, visitor) => {
      await visitor.post('/account/basket', { title: 'Kelidar' });
      const before = visitor.cookie;
      expect(before).toBeDefined();
      // What a visitor has put in is still there after the login, under another id.
      await visitor.post('/account/login', { reader: 'grace', password: 'grace' });
      expect((await visitor.get('/account')).body).toEqual({ reader: 'grace', basket: ['Kelidar'] });
      expect(visitor.cookie).not.toBe(before);
      expect((await new Visitor(url, before).get('/account')).body).toEqual({ reader: null, basket: [] });
    },
  ],
  [
    'GET /account/devices',
    async (place, visitor) => {
      expect((await visitor.get('/account/devices')).status).toBe(401);
      const here = await loggedIn(place, 'ada', 'the desk');
      await loggedIn(place, 'ada', 'the telephone');
      const { body } = await here.get<Device[]>('/account/devices');
      expect(body.filter((device) => device.here).map(({ agent }) => agent)).toEqual(['the desk']);
      expect(body.map(({ agent }) => agent)).toContain('the telephone');
    },
  ],
  [
    'DELETE /account/devices/:handle',
    async (place) => {
      const here = await loggedIn(place, 'omar', 'here');
      const there = await loggedIn(place, 'omar', 'there');
      const { body } = await here.get<Device[]>('/account/devices');
      const found = body.find(({ agent }) => agent === 'there');
      const stranger = await loggedIn(place, 'grace', 'elsewhere');
      expect((await stranger.ask('DELETE', `/account/devices/${found?.handle}`)).status).toBe(404);
      expect(await here.ask('DELETE', `/account/devices/${found?.handle}`)).toMatchObject({
        body: { ended: 1 },
      });
      expect((await there.get('/account')).body).toMatchObject({ reader: null });
      expect((await here.get('/account')).body).toMatchObject({ reader: 'omar' });
    },
  ],
  [
    'POST /account/logout',
    async (place) => {
      const visitor = await loggedIn(place, 'omar', 'a visit');
      const { cookie } = visitor;
      expect(await visitor.post('/account/logout')).toMatchObject({ status: 200, body: { ended: 1 } });
      expect((await new Visitor(place.url, cookie).get('/account')).body).toMatchObject({ reader: null });
    },
  ],
  [
    'POST /account/logout-everywhere',
    async (place, visitor) => {
      expect((await visitor.post('/account/logout-everywhere')).status).toBe(401);
      const [here, there] = [await loggedIn(place, 'omar', 'one'), await loggedIn(place, 'omar', 'two')];
      const { body } = await here.post<{ ended: number }>('/account/logout-everywhere');
      expect(body.ended).toBeGreaterThanOrEqual(2);
      for (const device of [here, there])
        expect((await device.get('/account')).body).toMatchObject({ reader: null });
    },
  ],
  [
    'GET /orders',
    async (_, visitor) => {
      const { status, body } = await visitor.get<Order[]>('/orders');
      expect(status).toBe(200);
      expect(body).toContainEqual(expect.objectContaining({ id: 1, product: 'Linen notebook' }));
    },
  ],
  [
    'POST /orders',
    async (_, visitor) => {
      const { status, body } = await visitor.post<Order>('/orders', { product: 4, copies: 2 });
      expect(status).toBe(201);
      expect(body).toMatchObject({ product: 'Brass ruler', copies: 2, status: 'placed', announced: true });
      expect((await visitor.get<Order[]>('/orders')).body[0]).toMatchObject({ id: body.id });
      expect((await visitor.post('/orders', { product: 99 })).status).toBe(404);
      expect((await visitor.post('/orders', {})).status).toBe(400);
    },
  ],
  [
    'POST /orders/:id/advance',
    async (_, visitor) => {
      const { id } = (await visitor.post<Order>('/orders', { product: 1 })).body;
      for (const status of ['printed', 'packed', 'shipped'])
        expect((await visitor.post(`/orders/${id}/advance`)).body).toMatchObject({ id, status });
      expect((await visitor.post(`/orders/${id}/advance`)).status).toBe(404);
      expect((await visitor.get<Order[]>('/orders')).body[0]).toMatchObject({ id, status: 'shipped' });
    },
  ],
  [
    'GET /orders/live',
    async ({ url }, visitor) => {
      const feed = await new OrderFeed(url).opened();
      const { id } = (await visitor.post<Order>('/orders', { product: 1 })).body;
      const placed = await feed.heard(id, 'placed');
      expect(Date.parse(placed.publishedAt)).toBeGreaterThanOrEqual(Date.parse(placed.changedAt));
      feed.close();
      // Away meanwhile, and told afterwards of what was missed, and of nothing before.
      await visitor.post(`/orders/${id}/advance`);
      const back = new OrderFeed(url, placed.eventId);
      await back.heard(id, 'printed');
      expect(back.events.map((event) => event.status)).toEqual(['printed']);
      back.close();
    },
  ],
  [
    'GET /orders/socket',
    async ({ url }, visitor) => {
      const socket = await OrderSocket.open(url);
      await socket.heard('ready');
      const { id } = (await visitor.post<Order>('/orders', { product: 2 })).body;
      const heard = await socket.heard('order', (message) => message['id'] === id);
      expect(heard).toMatchObject({ product: 'Linen notebook', status: 'placed' });
      expect(Date.parse(String(heard['publishedAt']))).not.toBeNaN();
      socket.close();
    },
  ],
  [
    'GET /tasks/:id',
    async (_, visitor) => {
      const { id } = (await visitor.post<{ id: string }>('/tasks', { title: 'Rubaiyat' })).body;
      const step = await until(
        async () => {
          const { body } = await visitor.get<{ progress?: { step: string } | number }>(`/tasks/${id}`);
          return typeof body.progress === 'object' && body.progress.step;
        },
        { what: 'the task to tell its progress', timeout: 60_000, every: 20 },
      );
      expect(['folded', 'sewn', 'glued', 'bound', 'done']).toContain(step);
      expect((await visitor.get('/tasks/absent')).status).toBe(404);
    },
  ],
  [
    'POST /tasks/:id/retry',
    async (_, visitor) => {
      const { id } = (await visitor.post<{ id: string }>('/tasks', { title: 'Unbindable' })).body;
      expect(await finished(visitor, id)).toMatchObject({ state: 'failed', attempts: 1 });
      expect(await visitor.post(`/tasks/${id}/retry`)).toMatchObject({
        status: 202,
        body: { retried: true },
      });
      expect(await finished(visitor, id)).toMatchObject({ state: 'failed' });
      expect((await visitor.post('/tasks/absent/retry')).status).toBe(404);
    },
  ],
  [
    'GET /tasks',
    async (_, visitor) => {
      const { id } = (await visitor.post<{ id: string }>('/tasks', { title: 'Unbindable' })).body;
      await finished(visitor, id);
      const { body } = await visitor.get<{
        counts: { failed: number };
        failed: { id: string; failure: string }[];
      }>('/tasks');
      expect(body.counts.failed).toBeGreaterThanOrEqual(1);
      expect(body.failed[0]).toMatchObject({
        id,
        failure: expect.stringContaining('can not be bound') as string,
      });
    },
  ],
  [
    'GET /limits/endpoint',
    async (_, visitor) => {
      const answers = await knocks(20, () => visitor.get('/limits/endpoint'));
      const refused = answers.filter(({ status }) => status === 429);
      expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(5);
      expect(refused.length).toBeGreaterThan(0);
      expect(refused[0]?.headers).toMatchObject({
        'content-type': expect.stringMatching(/^application\/problem\+json/u) as string,
        'ratelimit-policy': '"door";q=5;w=10',
      });
      expect(refused[0]?.body).toMatchObject({ code: 'RATE_LIMITED', 'violated-policies': ['door'] });
      expect(Number(refused[0]?.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    },
  ],
  [
    'GET /limits/reader',
    async (place, visitor) => {
      const session = await loggedIn(place, 'ada', 'limits');
      // By card and by session she is one reader, with one limit.
      const answers = await knocks(10, (knock) =>
        knock % 2 === 0 ? visitor.get('/limits/reader', ADA) : session.get('/limits/reader'),
      );
      const passed = answers.filter(({ status }) => status === 200).length;
      expect(passed).toBeGreaterThanOrEqual(5);
      expect(passed).toBeLessThan(10);
      // Another reader has one of their own, and so has a visitor.
      expect((await visitor.get('/limits/reader', GRACE)).body).toEqual({ passed: true, reader: 'grace' });
      expect((await visitor.get('/limits/reader')).body).toEqual({ passed: true, reader: null });
    },
  ],
  [
    'GET /place',
    async ({ topology }, visitor) => {
      expect((await visitor.get('/place')).body).toMatchObject({
        pid: process.pid,
        redis: { topology, state: 'up' },
        database: { place: 'in memory' },
      });
    },
  ],
  [
    'GET /health/live',
    async (_, visitor) => expect((await visitor.get('/health/live')).body).toEqual({ status: 'ok' }),
  ],
  [
    'GET /health/ready',
    async (_, visitor) => expect((await visitor.get('/health/ready')).body).toMatchObject({ status: 'ok' }),
  ],
  [
    'GET /health/redis',
    async ({ topology }, visitor) => {
      expect((await visitor.get('/health/redis')).body).toMatchObject({
        status: 'ok',
        details: {
          redis: { connections: { default: { topology, state: 'up', nodes: [{ state: 'ready' }] } } },
        },
      });
    },
  ],
  [
    'GET /cache/stats',
    async (_, visitor) => {
      for (const path of ['/status/kelidar', '/status/kelidar']) await visitor.get(path);
      const { status, body } = await visitor.get<{ total: { hitRate: number; reads: number } }>(
        '/cache/stats',
        LOCAL,
      );
      expect((await visitor.get('/cache/stats')).status).toBe(403);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        namespace: 'print-shop',
        memory: { bytes: expect.any(Number) as number },
      });
      expect(body.total.reads).toBeGreaterThan(0);
      expect(body.total.hitRate).toBeGreaterThan(0);
    },
  ],
  [
    'GET /metrics',
    async (_, visitor) => {
      await visitor.get('/status/kelidar');
      const { status, body, headers } = await visitor.get<string>('/metrics');
      expect(status).toBe(200);
      expect(headers['content-type']).toMatch(/^text\/plain/u);
      expect(body).toMatch(/^anbar_cache_requests_total\{[^}]*\} [1-9]\d*$/mu);
    },
  ],
  [
    'GET /redis-console',
    async (_, visitor) => {
      const { status, body } = await visitor.get<string>('/redis-console/', LOCAL);
      expect(status).toBe(200);
      expect(body).toContain('<html');
      expect((await visitor.get('/redis-console/')).status).toBe(403);
    },
  ],
  [
    'GET /redis-console/assets/:name',
    async (_, visitor) => {
      const { body } = await visitor.get<string>('/redis-console/', LOCAL);
      const names = [...body.matchAll(/(?:src|href)="([^"]*assets\/[^"]+)"/gu)].map(([, path]) => path ?? '');
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) {
        const { pathname } = new URL(name, 'http://shop.test/redis-console/');
        expect((await visitor.get(pathname, LOCAL)).status).toBe(200);
      }
    },
  ],
  [
    'GET /redis-console/api/:name',
    async (_, visitor) => expect((await visitor.get('/redis-console/api/absent', LOCAL)).status).toBe(404),
  ],
];

/** These wait for the work of others: all at the same time. */
const WAITING: typeof ROUTES = [
  [
    'POST /runs',
    async (_, visitor) => {
      const { status, body, headers } = await visitor.post<{ runId: string }>('/runs', {
        title: 'Rubaiyat',
        copies: 50,
      });
      expect(status).toBe(202);
      expect(headers['location']).toBe(`/status/${body.runId}`);
      const seen = new Set<number>();
      const done = await until(
        async () => {
          const asked = await visitor.get<{ state: string; printed: number }>(`/status/${body.runId}`);
          seen.add(asked.body.printed);
          return asked.body.state === 'done' && asked.body;
        },
        { what: 'the run to be printed', timeout: 60_000, every: 50 },
      );
      expect(done.printed).toBe(50);
      // Kept for 30 seconds, and yet what was seen has changed with the press.
      expect(seen.size).toBeGreaterThan(2);
      expect((await visitor.post('/runs', { copies: 0 })).status).toBe(400);
    },
  ],
  [
    'GET /assistant',
    async ({ app }, visitor) => {
      const model = app.get(FakeModel);
      const before = model.asked;
      const [first, joined] = await Promise.all(
        [1, 2].map(() => visitor.get<string>('/assistant?prompt=Who+are+you')),
      );
      expect(first).toMatchObject({
        status: 200,
        headers: { 'x-model': 'fake', 'content-type': 'text/plain; charset=utf-8' },
      });
      expect(first?.body).toContain('I am a fake model');
      expect(first?.body).toContain('"Who are you"');
      expect(joined?.body).toBe(first?.body);
      const again = await visitor.get('/assistant?prompt=Who+are+you');
      expect(again).toMatchObject({ body: first?.body, headers: { 'x-cache': 'HIT' } });
      expect(model.asked - before).toBe(1);
      expect((await visitor.get('/assistant')).status).toBe(400);
      expect((await visitor.get(`/assistant?prompt=${'x'.repeat(501)}`)).status).toBe(400);
    },
  ],
  [
    'POST /tasks',
    async (_, visitor) => {
      const { status, body } = await visitor.post<{ id: string }>('/tasks', { title: 'Kelidar', snaps: 1 });
      expect(status).toBe(202);
      expect(await finished(visitor, body.id)).toMatchObject({
        state: 'completed',
        attempts: 2,
        result: { title: 'Kelidar' },
      });
      expect((await visitor.post('/tasks', { snaps: 9 })).status).toBe(400);
    },
  ],
  [
    'GET /limits/passage',
    async (_, visitor) => {
      const answers = await Promise.all(Array.from({ length: 10 }, () => visitor.get('/limits/passage')));
      const inside = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ status }) => status === 429);
      expect(inside.length).toBeGreaterThanOrEqual(2);
      expect(refused.length).toBeGreaterThanOrEqual(1);
      expect(inside.length + refused.length).toBe(10);
      // Places go back once the answers have left.
      await until(async () => (await visitor.get('/limits/passage')).status === 200, {
        what: 'a free place',
      });
    },
  ],
];

vi.setConfig({ testTimeout: 90_000 });

describe.each(['embedded', 'standalone'] as const)('the demo on %s', (topology) => {
  let place: Place;

  beforeAll(async () => {
    const server = topology === 'embedded' ? undefined : await startStandalone();
    vi.stubEnv('REDIS_URL', server?.url);
    vi.stubEnv('DEMO_DATABASE', ':memory:');
    // A busy machine is no outage.
    vi.stubEnv('REDIS_TIMEOUT', '5s');
    const app = await openShop(false);
    vi.unstubAllEnvs();
    await app.listen(0, '127.0.0.1');
    place = { topology, app, url: await app.getUrl() };
    return async () => {
      await app.close();
      await server?.stop();
    };
  });

  it.each(ROUTES)('%s', async (_, check) => check(place, new Visitor(place.url)));

  it.concurrent.each(WAITING)('%s', async (_, check) => check(place, new Visitor(place.url)));

  it('has no other routes than these', () => {
    const tested = [...ROUTES, ...WAITING]
      .map(([route]) => route)
      .filter((route) => route !== 'GET /orders/socket');
    expect(routesOf(place.app).toSorted()).toEqual(tested.toSorted());
  });

  it('refuses what other sites send in the name of a visitor', async () => {
    const visitor = new Visitor(place.url);
    const forged = await visitor.post('/orders', { product: 1 }, { 'sec-fetch-site': 'cross-site' });
    expect(forged.status).toBe(403);
  });

  it('gives every answer an id and the time it took', async () => {
    const { headers } = await new Visitor(place.url).get('/orders', { 'x-request-id': 'from-a-proxy' });
    expect(headers).toMatchObject({ 'x-request-id': 'from-a-proxy', 'cache-control': 'private, no-store' });
    expect(headers['x-response-time']).toMatch(/^\d+\.\dms$/u);
  });
});

interface Layer {
  readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> };
}

/** What Express has been told to serve. */
function routesOf(app: INestApplication): string[] {
  const { router } = app.getHttpAdapter().getInstance() as {
    readonly router: { readonly stack: readonly Layer[] };
  };
  // Middleware for one route stands there under its path, too.
  const routes = router.stack.flatMap(({ route }) => {
    if (route === undefined) return [];
    const path = route.path.replace(/(?<=.)\/$/u, '');
    return Object.keys(route.methods).map((method) => `${method.toUpperCase()} ${path}`);
  });
  return [...new Set(routes)];
}
