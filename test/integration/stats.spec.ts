/** What the stats tell, everywhere; who may read them; and what they say of a Redis that does not answer. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRedis, type Redis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { isUnknown, RedisStatsModule, StatsService, type StatsReport } from '@anbar/nestjs-redis/monitoring';
import { openPlaces } from '../contract/places.js';
import { admin, shared, startStandalone, until } from '../topology/index.js';
import { PLATFORMS, serve } from './http-boot.js';

const TOKEN = 'a-token-of-24-characters';

const places = openPlaces();
let count = 0;

function freshNamespace(): string {
  count += 1;
  return `stats-${process.pid}-${Date.now().toString(36)}-${count}`;
}

async function connected(options: RedisModuleOptions): Promise<Redis> {
  const redis = createRedis(
    { timeout: '5s', connectTimeout: '10s', namespace: freshNamespace(), ...options },
    {},
  );
  await redis.connect();
  return redis;
}

/** Waits for a report that knows the memory: the first one may not have been answered in time. */
async function known(redis: Redis): Promise<StatsReport> {
  let report = await redis.stats();
  await until(
    async () => {
      report = await redis.stats();
      return !isUnknown(report.memory) && !isUnknown(report.server);
    },
    { what: 'a report without unknown figures' },
  );
  return report;
}

afterAll(() => Promise.all(places.map((place) => place.stop())));

describe.each(places)('the report on $name', (place) => {
  let redis: Redis;

  beforeAll(async () => {
    // Where the user may touch one prefix only, nobody else is on the server.
    const namespace = place.prefix === '' ? freshNamespace() : place.prefix.slice(0, -1);
    redis = await connected({ ...(await place.options()), namespace });
  });
  afterAll(() => redis.disconnect());

  it('counts reads by cache, tier and outcome', async () => {
    const books = redis.cache.namespace('books');
    await books.set('first-book', 'x'.repeat(1_000));
    await redis.cache.set('second-book', 2);
    await redis.cache.get('no-book');
    await Promise.all(
      [1, 2].map(() =>
        books.getOrSet('slow-book', () => new Promise((done) => setTimeout(() => done(3), 50))),
      ),
    );
    await until(async () => (await books.get('first-book')) !== undefined, { what: 'a hit' });

    const { caches, total } = await redis.stats();
    expect(Object.keys(caches).toSorted()).toEqual(['books', 'default']);
    const { books: its, default: others } = caches;
    expect(others).toMatchObject({ reads: 1, misses: 1, hitRate: 0, loads: 0 });
    expect(its?.loads).toBe(1);
    expect(its?.coalesced).toBe(1);
    expect((its?.tiers.l1 ?? 0) + (its?.tiers.l2 ?? 0)).toBe(1);
    expect(its?.hitRate).toBeCloseTo(1 / 3);
    expect(total.reads).toBe(4);
    expect(total.hitRate).toBeCloseTo(1 / 4);
  });

  it('weighs the keys of the namespace, and tells whose they are', async () => {
    const { memory, caches } = await known(redis);
    if (isUnknown(memory)) throw new Error(memory.unknown);
    // Neighbours on a shared server may have so many keys that ours are reckoned.
    if (memory.counted) {
      expect(caches['books']?.memory).toMatchObject({ keys: 2 });
      expect(caches['default']?.memory).toMatchObject({ keys: 1 });
    }
    const books = caches['books']?.memory;
    if (memory.counted) {
      expect(books !== undefined && !isUnknown(books) ? books.bytes : 0).toBeGreaterThan(1_000);
      expect(memory.capabilities['cache']?.keys).toBeGreaterThanOrEqual(3);
      expect(memory.by).toBe(place.name === 'embedded' ? 'length' : 'server');
    }
  });

  it('tells of connections, the server, and everything else', async () => {
    await redis.limiter.consume(['ip', '192.0.2.1'], { limit: 1, window: '1m' });
    await redis.limiter.consume(['ip', '192.0.2.1'], { limit: 1, window: '1m' });
    await redis.sessions.create({ data: { note: 'kept' } });
    const held = await redis.locks.acquire(['a-lock'], { ttl: '30s' });
    await redis.tasks.add('note', { text: 'kept' });
    let report = await redis.stats();
    await until(
      async () => {
        report = await redis.stats();
        return report.locks.held === 1 && !isUnknown(report.server) && !isUnknown(report.tasks);
      },
      { what: 'a report made since' },
    );
    await held.release();

    expect(report.connections['default']).toMatchObject({
      health: 'up',
      topology: redis.adapter.port.topology,
    });
    const nodes = report.connections['default']?.nodes ?? [];
    expect(nodes.length).toBeGreaterThanOrEqual(1);
    expect(nodes.map(({ breaker }) => breaker.reads)).not.toContain('open');
    expect(report.server).toMatchObject({ usedBytes: expect.any(Number) as number });
    expect(report.limiter).toMatchObject({ allowed: 1, denied: 1 });
    expect(report.sessions).toEqual({ create: { ok: 1, refused: 0, unavailable: 0 } });
    expect(report.locks).toEqual({ held: 1, waiting: 0 });
    expect(report.tasks).toMatchObject({ state: 'in use', waiting: 1 });
    expect(report.fallback).toMatchObject({ mode: 'redis', journal: 0 });
    expect(Object.keys(report.shards.shards)).toEqual(['default']);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it('names neither keys nor what is stored', async () => {
    const text = JSON.stringify(await redis.stats());
    for (const secret of ['slow-book', 'first-book', '192.0.2.1', 'a-lock', 'kept', 'xxxx']) {
      expect(text).not.toContain(secret);
    }
  });
});

it('counts copies in this process by cache', async () => {
  const redis = await connected({ url: (await shared('standalone')).url });
  const books = redis.cache.namespace('books');
  await books.set('first-book', 'x'.repeat(5_000));
  await until(
    async () => {
      await books.get('first-book');
      return (await redis.stats()).caches['books']?.l1?.entries === 1;
    },
    { what: 'a copy' },
  );
  const { caches, l1 } = await redis.stats();
  expect(caches['books']?.l1?.bytes).toBeGreaterThan(5_000);
  expect(caches['default']?.l1).toEqual({ entries: 0, bytes: 0 });
  expect(l1).toMatchObject({ by: 'tracking', entries: 1, bytes: caches['books']?.l1?.bytes });
  await redis.disconnect();
});

it('reckons where it does not count: keys of others change nothing but the precision', async () => {
  const server = await startStandalone();
  const redis = await connected({ url: server.url });
  await admin(server.port, 'DEBUG', 'POPULATE', '24000', 'foreign', '20');
  await redis.cache.setMany(Array.from({ length: 6_000 }, (_, i) => [['n', i], 'v'.repeat(100)] as const));
  const { memory } = await known(redis);
  await redis.disconnect();
  await server.stop();
  if (isUnknown(memory)) throw new Error(memory.unknown);
  expect(memory.counted).toBe(false);
  expect(memory.keys).toBeGreaterThan(4_500);
  expect(memory.keys).toBeLessThan(7_500);
  expect(memory.bytes / memory.keys).toBeGreaterThan(150);
  expect(memory.bytes / memory.keys).toBeLessThan(500);
});

it('asks Redis once, however many ask', async () => {
  const server = await startStandalone();
  const redis = await connected({ url: server.url, cache: { l1: false } });
  await known(redis);
  await new Promise((done) => setTimeout(done, 1_100));
  const before = await calls(server.port);
  await Promise.all(Array.from({ length: 500 }, () => redis.stats()));
  for (let i = 0; i < 500; i += 1) await redis.stats();
  const after = await calls(server.port);
  await redis.disconnect();
  await server.stop();
  // The sample is kept for longer, so that is one INFO of the report and one of this test itself.
  expect(after.info - before.info).toBe(2);
  expect(after.scan - before.scan).toBe(0);
});

async function calls(port: number): Promise<{ info: number; scan: number }> {
  const text = String(await admin(port, 'INFO', 'commandstats'));
  const of = (name: string): number =>
    Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`, 'u').exec(text)?.[1] ?? 0);
  return { info: of('info'), scan: of('scan') };
}

describe('when Redis does not answer', () => {
  it.each(['frozen', 'killed'] as const)('(%s) says so at once, and tells of the rest', async (how) => {
    const server = await startStandalone();
    const redis = createRedis({ url: server.url, namespace: freshNamespace() }, {});
    await redis.connect();
    await redis.cache.set('kept', 1);
    await redis.fallback.set('kept', 1);
    if (how === 'frozen') await server.process.freeze();
    else await server.process.kill();
    await redis.fallback.get('kept');
    await redis.cache.get('other');

    const begun = performance.now();
    let report = await redis.stats();
    const tookMs = performance.now() - begun;
    expect(isUnknown(report.memory) && report.memory.unknown).toMatch(/\S/u);
    expect(isUnknown(report.server)).toBe(true);
    expect(isUnknown(report.caches['default']?.memory)).toBe(true);
    expect(report.caches['default']).toMatchObject({ misses: 1 });
    expect(tookMs).toBeLessThan(1_000);

    await until(
      async () => {
        report = await redis.stats();
        return report.connections['default']?.health === 'down';
      },
      { what: 'the connection to be told as down' },
    );
    expect(report.fallback.mode).not.toBe('redis');
    expect(report.tasks).toEqual({ state: 'idle' });

    if (how === 'frozen') {
      await server.process.thaw();
      await until(
        async () => {
          report = await redis.stats();
          return !isUnknown(report.memory) && !isUnknown(report.server) && report.fallback.mode === 'redis';
        },
        { what: 'the figures to be back' },
      );
    }
    await redis.disconnect();
    await server.stop();
  });
});

describe.each(PLATFORMS)('the route on %s', (platform) => {
  const anyone = { 'x-forwarded-for': '198.51.100.7' };

  it('tells this machine, and nobody behind a proxy or under another name', async () => {
    const served = await serve({ imports: [RedisStatsModule.forRoot()] }, { platform });
    const { app } = served;
    const get = (path: string, headers?: Record<string, string>) => served.get(path, headers);
    const answer = await get('/cache/stats');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(Object.keys(answer.json<StatsReport>().caches)).toEqual(['default']);
    expect((await get('/cache/stats', anyone)).status).toBe(403);
    expect((await get('/cache/stats', { forwarded: 'for=198.51.100.7' })).status).toBe(403);
    expect(await statusByHost(await app.getUrl(), 'rebound.example')).toBe(403);
    expect(await app.get(StatsService).report()).toMatchObject({ at: answer.json<StatsReport>().at });
  });

  it('tells whoever has the token', async () => {
    const served = await serve(
      { imports: [RedisStatsModule.forRoot({ token: TOKEN, path: 'ops/figures' })] },
      { platform },
    );
    const get = (path: string, headers?: Record<string, string>) => served.get(path, headers);
    const refused = await get('/ops/figures');
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toBe('Bearer');
    expect((await get('/ops/figures', { authorization: `Bearer ${TOKEN}x` })).status).toBe(401);
    expect((await get('/ops/figures', { authorization: TOKEN })).status).toBe(401);
    expect((await get('/ops/figures', { authorization: `Bearer ${TOKEN}`, ...anyone })).status).toBe(200);
    expect((await get('/cache/stats')).status).toBe(404);
  });

  it('leaves it to the guards of the application', async () => {
    const asked: string[] = [];
    const guard = (allow: boolean) => ({
      canActivate: () => {
        asked.push('guard');
        return allow;
      },
    });
    const open = await serve(
      { imports: [RedisStatsModule.forRoot({ guards: [guard(true)] })] },
      { platform },
    );
    expect((await open.get('/cache/stats', anyone)).status).toBe(200);
    const shut = await serve(
      { imports: [RedisStatsModule.forRoot({ token: TOKEN, guards: [guard(false)] })] },
      { platform },
    );
    expect((await shut.get('/cache/stats')).status).toBe(401);
    expect((await shut.get('/cache/stats', { authorization: `Bearer ${TOKEN}` })).status).toBe(403);
    expect(asked).toHaveLength(2);
  });
});

it('refuses a token that can be guessed', () => {
  expect(() => RedisStatsModule.forRoot({ token: 'secret' })).toThrow(
    expect.objectContaining({ code: 'INVALID_STATS_OPTIONS' }),
  );
});

/** `fetch` does not let a caller choose the host. */
async function statusByHost(url: string, host: string): Promise<number> {
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/cache/stats`, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end();
  });
}
