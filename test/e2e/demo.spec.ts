import 'reflect-metadata';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { AppModule } from '../../src/app.module.js';
import { admin, shared, startStandalone } from '../topology/index.js';
import { build, DemoProcess } from './demo-process.js';

interface ProductList {
  readonly from: 'cache' | 'shelf';
  readonly products: readonly { readonly id: number; readonly priceCents: number }[];
}

const LIST_KEY = 'print-shop:v1:cache:default:{catalog:products}';

async function getJson<T>(url: string): Promise<T> {
  const response = await fetch(url);
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

function putPrice(url: string, id: string, body: unknown): Promise<Response> {
  return fetch(`${url}/products/${id}/price`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

describe.each(['embedded', 'standalone'] as const)('the demo on %s', (topology) => {
  let app: INestApplication;
  let url: string;

  beforeAll(async () => {
    const server = topology === 'embedded' ? undefined : await shared('standalone');
    if (server !== undefined) await admin(server.port, 'DEL', LIST_KEY);
    vi.stubEnv('REDIS_URL', server?.url);
    app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
    vi.unstubAllEnvs();
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
    return () => app.close();
  });

  it('reads the list from the shelf once, then from Redis, until a price changes', async () => {
    const first = await getJson<ProductList>(`${url}/products`);
    expect(first.from).toBe('shelf');
    expect(first.products).toHaveLength(4);
    const second = await getJson<ProductList>(`${url}/products`);
    expect(second).toMatchObject({ from: 'cache', products: first.products });

    const changed = await putPrice(url, '1', { priceCents: 995 });
    expect(await changed.json()).toMatchObject({ id: 1, priceCents: 995 });
    const third = await getJson<ProductList>(`${url}/products`);
    expect(third.from).toBe('shelf');
    expect(third.products[0]).toMatchObject({ id: 1, priceCents: 995 });
    expect((await getJson<ProductList>(`${url}/products`)).from).toBe('cache');
  });

  it.each([
    ['1', {}, 400],
    ['1', { priceCents: -1 }, 400],
    ['1', { priceCents: '995' }, 400],
    ['1', null, 400],
    ['one', { priceCents: 1 }, 400],
    ['99', { priceCents: 1 }, 404],
  ])('refuses the price of %s to be %j', async (id, body, status) => {
    expect((await putPrice(url, id, body)).status).toBe(status);
  });

  it('tells of its health what it knows of Redis', async () => {
    expect(await getJson(`${url}/health/redis`)).toMatchObject({
      status: 'ok',
      details: {
        redis: { connections: { default: { topology, state: 'up', nodes: [{ state: 'ready' }] } } },
      },
    });
  });
});

it('the demo sells while Redis is away, and says so in its health', async () => {
  const server = await startStandalone();
  try {
    vi.stubEnv('REDIS_URL', server.url);
    const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
    vi.unstubAllEnvs();
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    await server.process.kill();
    expect((await getJson<ProductList>(`${url}/products`)).from).toBe('shelf');
    expect(await getJson(`${url}/health/ready`)).toMatchObject({ status: 'degraded' });
    expect((await fetch(`${url}/health/redis`)).status).toBe(503);
    await app.close();
  } finally {
    await server.stop();
  }
});

describe('the built program', () => {
  beforeAll(build, 120_000);
  afterEach(() => vi.unstubAllEnvs());

  it('runs without a server, says what it runs on and what to try, and ends on Ctrl-C', async () => {
    const demo = DemoProcess.start(['dist/main.js']);
    const url = await demo.url();
    expect(demo.output).toContain('the embedded default (no server)');
    expect(demo.output).toContain(`curl ${url}/products`);
    expect((await getJson<ProductList>(`${url}/products`)).from).toBe('shelf');
    expect((await getJson<ProductList>(`${url}/products`)).from).toBe('cache');
    const { code, ms } = await demo.interrupt();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(2_000);
  });

  it('runs on the server it is given, and ends on Ctrl-C', async () => {
    const server = await shared('standalone');
    const demo = DemoProcess.start(['dist/main.js'], { REDIS_URL: server.url });
    const url = await demo.url();
    expect(demo.output).toContain(`standalone at 127.0.0.1:${server.port}`);
    await getJson(`${url}/products`);
    expect(await admin(server.port, 'EXISTS', LIST_KEY)).toBe(1);
    const { code, ms } = await demo.interrupt();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(2_000);
  });

  it.each([
    ['redis//app:planted-secret@host', /REDIS_URL/u],
    ['redis://app:planted-secret@host:99999', /REDIS_URL/u],
  ])(
    'with a wrong REDIS_URL (%#) says what is wrong, once, without the password, and exits 1',
    async (url, told) => {
      const demo = DemoProcess.start(['dist/main.js'], { REDIS_URL: url });
      expect(await demo.ended()).toMatchObject({ code: 1 });
      expect(demo.output).toMatch(told);
      expect(demo.output.match(/InvalidConfigError/gu)).toHaveLength(1);
      expect(demo.output).not.toMatch(/planted|\n\s+at /u);
    },
  );
});

describe('a script without Nest', () => {
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

  beforeAll(build, 120_000);

  it.each(['embedded', 'standalone'] as const)('ends by itself once it has closed: %s', async (topology) => {
    const env = topology === 'embedded' ? {} : { REDIS_URL: (await shared('standalone')).url };
    const script = DemoProcess.start(['--input-type=module', '-e', SCRIPT], env);
    const { code, ms } = await script.ended();
    expect(script.output).toBe('{"a":1}\nclosed\n');
    expect(code).toBe(0);
    expect(ms).toBeLessThan(10_000);
  });
});
