/**
 * The built program: two processes on one Redis and one database are one shop; what becomes of it when Redis is killed;
 * how it starts, and how it leaves.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { admin, startStandalone, until, type Standalone } from '../topology/index.js';
import { build, DemoProcess } from './demo-process.js';
import { OrderFeed } from './order-feed.js';
import { Visitor } from './shop-client.js';

interface ProductList {
  readonly from: 'cache' | 'database';
  readonly products: readonly { readonly id: number; readonly priceCents: number }[];
}

const ADA = { 'x-api-key': 'card-ada' };
const started = new Set<DemoProcess>();

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): DemoProcess {
  const demo = DemoProcess.start(args, env);
  started.add(demo);
  return demo;
}

/** A process takes its second to start; on a machine that has much to do it takes many. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 240_000 });

const folder = mkdtempSync(join(tmpdir(), 'print-shop-'));

beforeAll(build);
afterAll(() => {
  for (const demo of started) demo.kill();
  rmSync(folder, { recursive: true, force: true });
});

describe('two processes on one Redis', () => {
  const env: Record<string, string> = {
    DEMO_DATABASE: join(folder, 'fleet', 'shop.sqlite'),
    // A busy machine is no outage.
    REDIS_TIMEOUT: '2s',
    REDIS_CACHE_TTL: '900',
    REDIS_SESSION_TTL: '1800',
  };
  let server: Standalone;
  let processes: readonly [DemoProcess, DemoProcess];
  let left: string;
  let right: string;
  const feeds: OrderFeed[] = [];

  beforeAll(async () => {
    server = await startStandalone({ keepData: true });
    env['REDIS_URL'] = server.url;
    processes = [start(['dist/main.js'], env), start(['dist/main.js'], env)];
    [left, right] = await Promise.all([processes[0].url(), processes[1].url()]);
    return () => server.stop();
  });

  afterEach(() => {
    for (const feed of feeds.splice(0)) feed.close();
  });

  function watch(url: string): Promise<OrderFeed> {
    const feed = new OrderFeed(url);
    feeds.push(feed);
    return feed.opened();
  }

  it('say what they run on', () => {
    for (const { output } of processes) {
      expect(output).toContain(`standalone at 127.0.0.1:${server.port}`);
      expect(output).toContain('shop.sqlite');
    }
  });

  it('share what is cached, and its end', async () => {
    const [here, there] = [new Visitor(left), new Visitor(right)];
    expect((await here.get<ProductList>('/products')).body.from).toBe('database');
    expect((await there.get<ProductList>('/products')).body.from).toBe('cache');
    expect((await there.ask('PUT', '/products/1/price', { body: { priceCents: 333 } })).status).toBe(200);
    const changed = await here.get<ProductList>('/products');
    expect(changed.body.from).toBe('database');
    expect(changed.body.products[0]).toMatchObject({ id: 1, priceCents: 333 });
    expect((await there.get<ProductList>('/products')).body).toMatchObject({
      from: 'cache',
      products: changed.body.products,
    });
  });

  it('share the answers of routes, for each reader apart', async () => {
    const [here, there] = [new Visitor(left), new Visitor(right)];
    const first = await here.get('/books/my', ADA);
    expect(first.headers['x-cache']).toBe('MISS');
    expect(await there.get('/books/my', ADA)).toMatchObject({
      body: first.body,
      headers: { 'x-cache': 'HIT' },
    });
    expect((await there.post('/books/my', { title: 'Shahnameh' }, ADA)).status).toBe(201);
    const after = await here.get<{ books: { title: string }[] }>('/books/my', ADA);
    expect(after.body.books.map(({ title }) => title)).toContain('Shahnameh');
  });

  it('count one limit together', async () => {
    const [here, there] = [new Visitor(left), new Visitor(right)];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, knock) => (knock % 2 === 0 ? here : there).get('/limits/endpoint')),
    );
    const passed = answers.filter(({ status }) => status === 200).length;
    // Five at once, and one more for every two seconds that this has taken; each for itself would let ten in.
    expect(passed).toBeGreaterThanOrEqual(5);
    expect(passed).toBeLessThan(10);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(20 - passed);
  });

  it('know the same sessions, and end them together', async () => {
    const here = new Visitor(left);
    await here.post('/account/basket', { title: 'Kelidar' });
    await here.post('/account/login', { reader: 'omar', password: 'omar' });
    const there = new Visitor(right, here.cookie);
    expect((await there.get('/account')).body).toEqual({ reader: 'omar', basket: ['Kelidar'] });
    const second = new Visitor(right);
    await second.post('/account/login', { reader: 'omar', password: 'omar' });
    expect((await second.post('/account/logout-everywhere')).body).toEqual({ ended: 2 });
    expect((await here.get('/account')).body).toEqual({ reader: null, basket: [] });
  });

  it('hear of each other’s orders, also after Redis was restarted', async () => {
    const [here, there] = [await watch(left), await watch(right)];
    const placed = await new Visitor(left).post<{ id: number }>('/orders', { product: 1 });
    const { id } = placed.body;
    for (const feed of [here, there]) await feed.heard(id, 'placed');
    expect(there.events.at(-1)).toMatchObject({ own: false });
    await server.process.kill();
    await server.process.restart('keepData');
    const moved = await until(
      async () => {
        const answer = await new Visitor(right).post<{ announced: boolean; status: string }>(
          `/orders/${id}/advance`,
        );
        return answer.status === 200 && answer.body.announced && answer.body;
      },
      { what: 'a change to be announced again', timeout: 60_000, every: 100 },
    );
    for (const feed of [here, there]) await feed.heard(id, moved.status);
  });

  it('do each other’s tasks', async () => {
    const { body } = await new Visitor(left).post<{ id: string }>('/tasks', { title: 'Kelidar' });
    await until(
      async () => {
        const asked = await new Visitor(right).get<{ state: string }>(`/tasks/${body.id}`);
        return asked.body.state === 'completed';
      },
      { what: 'the task to be done', timeout: 60_000, every: 100 },
    );
  });

  it('keep what has no time of its own as long as the environment says', async () => {
    await new Visitor(left).get('/orders');
    await new Visitor(left).post('/account/basket', { title: 'Rubaiyat' });
    const sessions = (await admin(server.port, 'KEYS', 'print-shop:v1:session:*')) as string[];
    const lifetimes = await Promise.all(
      sessions.map(async (key) => Number(await admin(server.port, 'TTL', key))),
    );
    // What a login leaves under the id of before it lives for a moment.
    const sessionTtl = Math.max(...lifetimes);
    const orderTtl = Number(await admin(server.port, 'TTL', 'print-shop:v1:cache:default:{orders:latest}'));
    expect(sessionTtl).toBeGreaterThan(1_000);
    expect(sessionTtl).toBeLessThanOrEqual(1_800);
    // 900 s, less a tenth of jitter, and an hour for `staleOnError`.
    expect(orderTtl).toBeGreaterThan(3_600);
    expect(orderTtl).toBeLessThanOrEqual(4_500);
  });

  it('go on selling when Redis is killed, take nobody for a stranger, and are one shop again when it is back', async () => {
    const [here, there] = [new Visitor(left), new Visitor(right)];
    await here.post('/account/login', { reader: 'grace', password: 'grace' });
    const { cookie } = here;
    await there.get('/products');
    await server.process.kill();

    for (const visitor of [new Visitor(left), there]) {
      expect((await visitor.get<ProductList>('/products')).body.products).toHaveLength(8);
      expect(await visitor.get('/books/my', ADA)).toMatchObject({ status: 200, body: { reader: 'ada' } });
      expect((await visitor.get('/status/kelidar')).status).toBe(200);
      expect((await visitor.get('/health/live')).status).toBe(200);
    }
    // Who has a session is not taken for somebody without one; who has none is served.
    for (const path of ['/account', '/account/devices', '/books/my']) {
      const answer = await new Visitor(right, cookie).get(path);
      expect(answer).toMatchObject({ status: 503, body: { code: 'SESSION_UNAVAILABLE' } });
    }
    expect((await new Visitor(right).get('/account')).body).toEqual({ reader: null, basket: [] });
    expect((await new Visitor(left).post('/account/login', { reader: 'ada', password: 'ada' })).status).toBe(
      503,
    );
    expect((await there.post('/books/my', { title: 'Later' }, ADA)).status).toBe(503);
    expect((await there.post('/tasks', { title: 'Later' })).status).toBe(503);
    expect((await there.post('/orders', { product: 1 })).body).toMatchObject({
      status: 'placed',
      announced: false,
    });
    expect((await there.get('/limits/reader', ADA)).status).toBe(200);
    expect((await there.get('/health/ready')).body).toMatchObject({ status: 'degraded' });
    expect((await there.get('/health/redis')).status).toBe(503);

    // A price that changes meanwhile is remembered, and Redis told before it is read again.
    expect((await there.ask('PUT', '/products/2/price', { body: { priceCents: 222 } })).status).toBe(200);
    await server.process.restart('keepData');
    const prices = async (url: string) =>
      (await new Visitor(url).get<ProductList>('/products')).body.products[1]?.priceCents;
    for (const url of [right, left])
      await until(async () => (await prices(url)) === 222, {
        what: 'the new price',
        timeout: 60_000,
        every: 100,
      });
    const back = await until(
      async () => {
        const answer = await new Visitor(left, cookie).get<{ reader: string }>('/account');
        return answer.status === 200 && answer.body;
      },
      { what: 'sessions to be known again', timeout: 60_000, every: 100 },
    );
    expect(back.reader).toBe('grace');
  });

  it('leave on Ctrl-C while somebody watches, and find everything where it was', async () => {
    await Promise.all([watch(left), watch(right)]);
    const visitor = new Visitor(left);
    await visitor.post('/account/basket', { title: 'Anna Karenina' });
    const placed = await visitor.post<{ id: number }>('/orders', { product: 5, copies: 7 });
    for (const demo of processes) {
      const { code, ms } = await demo.interrupt();
      expect(code).toBe(0);
      expect(ms).toBeLessThan(10_000);
    }
    const again = start(['dist/main.js'], env);
    const back = new Visitor(await again.url(), visitor.cookie);
    expect((await back.get<unknown[]>('/orders')).body[0]).toMatchObject({ id: placed.body.id, copies: 7 });
    expect((await back.get('/account')).body).toMatchObject({ basket: ['Anna Karenina'] });
    expect((await again.interrupt()).code).toBe(0);
  });
});

// Each of these is a process or two of its own, which mostly start, and have nothing to do with each other.
describe.concurrent('the built program', () => {
  it('runs without a server and without a trace, says what to try, and ends on Ctrl-C', async () => {
    const demo = start(['dist/main.js']);
    const url = await demo.url();
    expect(demo.output).toContain('the embedded default (no server)');
    expect(demo.output).toContain('in memory, gone at the end');
    expect(demo.output).toContain(`curl ${url}/products`);
    const visitor = new Visitor(url);
    expect((await visitor.get<ProductList>('/products')).body.from).toBe('database');
    expect((await visitor.get<ProductList>('/products')).body.from).toBe('cache');
    const { code, ms } = await demo.interrupt();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(10_000);
  });

  it('starts while Redis is away, and says so', async () => {
    const demo = start(['dist/main.js'], { REDIS_URL: 'redis://127.0.0.1:1' });
    const visitor = new Visitor(await demo.url());
    expect((await visitor.get<ProductList>('/products')).body.from).toBe('database');
    expect((await visitor.get('/health/ready')).body).toMatchObject({ status: 'degraded' });
    expect((await demo.interrupt()).code).toBe(0);
  });

  it('says in one sentence when its port is taken, and what to do', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const demo = start(['dist/main.js'], { PORT: String(port) });
    expect((await demo.ended()).code).toBe(1);
    expect(demo.output).toContain(`Port ${port} is taken by another program`);
    expect(demo.output).toContain(`PORT=${port + 1} npm start`);
    expect(demo.output).not.toMatch(/\n\s+at /u);
    other.close();
  });

  // What is planted may not stand in a title, which is printed.
  it.each<readonly [string, Record<string, string>, RegExp]>([
    ['a port that is none', { PORT: 'three' }, /^PORT is 'three', and no port: .*\n$/u],
    ['an address that is none', { REDIS_URL: 'redis//app:planted-secret@host' }, /REDIS_URL/u],
    [
      'an address with an impossible port',
      { REDIS_URL: 'redis://app:planted-secret@host:99999' },
      /REDIS_URL/u,
    ],
    [
      'a database that can not be',
      { DEMO_DATABASE: '/dev/null/shop.sqlite' },
      /The database \/dev\/null\/shop\.sqlite can not be opened/u,
    ],
    [
      'a database that is something else',
      { DEMO_DATABASE: join(folder, 'not-a-database') },
      /not-a-database can not be opened .*DEMO_DATABASE=:memory:/u,
    ],
  ])('with %s says what is wrong, once, without the password, and exits 1', async (_what, env, told) => {
    writeFileSync(join(folder, 'not-a-database'), 'a letter');
    const demo = start(['dist/main.js'], env);
    expect(await demo.ended()).toMatchObject({ code: 1 });
    expect(demo.output).toMatch(told);
    expect(demo.output.match(/InvalidConfigError/gu)?.length ?? 0).toBeLessThanOrEqual(1);
    expect(demo.output).not.toMatch(/planted|\n\s+at /u);
  });
});

describe.concurrent('a script without Nest', () => {
  const SCRIPT = `
    import { createRedis } from '@anbar/nestjs-redis';
    const redis = createRedis();
    await redis.connect();
    const subscription = redis.adapter.subscribe('e2e', () => undefined);
    await subscription.ready;
    await redis.adapter.set('e2e', { a: 1 }, '1m');
    console.log(JSON.stringify(await redis.adapter.get('e2e')));
    await redis.disconnect();
    console.log('closed');`;

  it.each(['embedded', 'standalone'] as const)('ends by itself once it has closed: %s', async (topology) => {
    const server = topology === 'embedded' ? undefined : await startStandalone();
    const script = start(
      ['--input-type=module', '-e', SCRIPT],
      server === undefined ? {} : { REDIS_URL: server.url },
    );
    await until(() => script.output.includes('closed'), { what: 'the script to be done', timeout: 60_000 });
    const { code, ms } = await script.ended();
    await server?.stop();
    expect(script.output).toBe('{"a":1}\nclosed\n');
    expect(code).toBe(0);
    expect(ms).toBeLessThan(10_000);
  });
});
