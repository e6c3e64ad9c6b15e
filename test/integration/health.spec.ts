/** What the health indicator says while Redis is in trouble: the right state in time, and an answer in time always. */
import { createRequire } from 'node:module';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { createRedis, RedisModule, type Redis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import {
  HealthMonitor,
  RedisHealthIndicator,
  RedisHealthModule,
  resolveHealth,
  type HealthState,
} from '@anbar/nestjs-redis/monitoring';
import {
  shared,
  startCluster,
  startFaultProxy,
  startStandalone,
  until,
  type Standalone,
  type StandaloneOptions,
} from '../topology/index.js';
import { boot } from './boot.js';

const load = createRequire(import.meta.url);
/** Terminus 11 knows nothing between up and down. */
const { version } = load('@nestjs/terminus/package.json') as { version: string };
const DEGRADED = version.startsWith('11.') ? 'ok' : 'degraded';

/** The state is right within this time after a fault, and no answer takes longer than the other. */
const RIGHT_WITHIN_MS = 1_500;
const ANSWER_WITHIN_MS = 300;

interface Watched {
  readonly redis: Redis;
  readonly monitor: HealthMonitor;
  /** Longest answer so far, net of the time this process itself stood still. */
  readonly slowest: () => number;
  /** Settles when the monitor says so; fails when that takes too long. */
  readonly says: (state: HealthState, reason?: RegExp) => Promise<void>;
}

/** Whom to tell what is to be done after a test; one that runs beside others has to name itself. */
type Ends = Pick<TestContext, 'onTestFinished'>;

async function watch(options: RedisModuleOptions, test: Ends = { onTestFinished }): Promise<Watched> {
  const redis = createRedis(options, {});
  test.onTestFinished(() => redis.disconnect());
  await redis.connect();
  const clients = [redis.adapter.port];
  const monitor = new HealthMonitor({ clients, namespace: 'health-test', settings: resolveHealth() });
  let slowest = 0;
  const ask = async () => {
    const startedAt = performance.now();
    let stalled = 0;
    let tickedAt = startedAt;
    const ticks = setInterval(() => {
      stalled += Math.max(0, performance.now() - tickedAt - 10);
      tickedAt = performance.now();
    }, 5);
    const report = await monitor.check();
    clearInterval(ticks);
    slowest = Math.max(slowest, performance.now() - startedAt - stalled);
    return report;
  };
  return {
    redis,
    monitor,
    slowest: () => slowest,
    async says(state, reason) {
      const startedAt = performance.now();
      let last: unknown;
      await until(
        async () => {
          const { connections } = await ask();
          const found = connections['default'];
          last = found;
          return found?.state === state && (reason === undefined || reason.test(found.reason ?? ''));
        },
        { what: `${state} ${String(reason ?? '')}` },
      ).catch((error: unknown) => {
        throw new Error(`it is ${JSON.stringify(last)}`, { cause: error });
      });
      expect(performance.now() - startedAt).toBeLessThan(RIGHT_WITHIN_MS + ANSWER_WITHIN_MS);
      expect(slowest).toBeLessThan(ANSWER_WITHIN_MS);
    },
  };
}

async function server(options?: StandaloneOptions, test: Ends = { onTestFinished }): Promise<Standalone> {
  const started = await startStandalone(options);
  test.onTestFinished(() => started.stop());
  return started;
}

describe.concurrent('one server', () => {
  it('is up while it serves, and tells how fast', async (test) => {
    const { url } = await shared('standalone');
    const { monitor, says } = await watch({ url }, test);
    await says('up');
    const { connections, state } = await monitor.check();
    expect(state).toBe('up');
    expect(connections['default']).toMatchObject({ topology: 'standalone', reason: null });
    expect(connections['default']?.latencyMs).toBeGreaterThan(0);
    expect(connections['default']?.nodes).toMatchObject([{ role: 'primary', state: 'ready' }]);
  });

  it('is down when it is killed, and up again when it is back', async (test) => {
    const { url, process: redis } = await server({}, test);
    const {
      says,
      redis: { adapter },
    } = await watch({ url }, test);
    await says('up');
    await redis.kill();
    await says('down');
    await redis.restart('empty');
    // How long it takes to be back is the connection's affair: it tries again after a pause.
    await until(() => adapter.status().health === 'up', { what: 'the connection' });
    await says('up');
  });

  it('is down while it stands still', async (test) => {
    const { url, process: redis } = await server({}, test);
    const { says } = await watch({ url }, test);
    await says('up');
    await redis.freeze();
    await says('down');
    await redis.thaw();
    await says('up');
  });

  it('is down while the network swallows everything', async (test) => {
    const target = await server({}, test);
    const proxy = await startFaultProxy({ to: target });
    test.onTestFinished(() => proxy.stop());
    const { says } = await watch({ url: `redis://127.0.0.1:${proxy.port}` }, test);
    await says('up');
    proxy.blackhole('both');
    await says('down');
    await proxy.pass();
    await says('up');
  });

  it('is degraded while it is slow', async (test) => {
    const target = await server({}, test);
    const proxy = await startFaultProxy({ to: target });
    test.onTestFinished(() => proxy.stop());
    const { says } = await watch({ url: `redis://127.0.0.1:${proxy.port}`, timeout: '400ms' }, test);
    await says('up');
    proxy.latency(140);
    await says('degraded', /slow: answered in \d+ ms/u);
    await proxy.pass();
    await says('up');
  });

  it('is degraded while it is full', async (test) => {
    const { url, process: redis } = await server({ policy: 'noeviction' }, test);
    const { says } = await watch({ url }, test);
    await says('up');
    await redis.admin('CONFIG', 'SET', 'maxmemory', '1');
    await says('degraded', /writes are refused: .*OOM/u);
    await redis.admin('CONFIG', 'SET', 'maxmemory', '0');
    await says('up');
  });

  it('is degraded while it is a replica', async (test) => {
    const target = await server({}, test);
    const other = await server({}, test);
    const { says } = await watch({ url: target.url }, test);
    await says('up');
    await target.process.admin('REPLICAOF', '127.0.0.1', other.port);
    await says('degraded', /writes are refused|is reconnecting|replica/u);
    await target.process.admin('REPLICAOF', 'NO', 'ONE');
    await says('up');
  });

  it('is degraded for a user who may only read, unless only reading is asked for', async (test) => {
    const rules = '~* +@read +@connection -@write';
    const acl = { user: 'reader', password: 'planted-password-reader', rules };
    const { url } = await server({ acl }, test);
    const { redis, says } = await watch({ url }, test);
    await says('degraded', /writes are refused: .*NOPERM/u);
    const reading = new HealthMonitor({
      clients: [redis.adapter.port],
      namespace: 'health-test',
      settings: resolveHealth({ probe: 'read' }),
    });
    expect(await reading.check()).toMatchObject({ state: 'up' });
  });
});

describe.concurrent('many nodes', () => {
  it('a cluster is degraded without one of its primaries', async (test) => {
    const cluster = await startCluster();
    test.onTestFinished(() => cluster.stop());
    const nodes = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`);
    const { says } = await watch({ topology: 'cluster', cluster: { nodes } }, test);
    await says('up');
    const [victim] = await cluster.masters();
    await victim?.freeze();
    await says('degraded', new RegExp(`127\\.0\\.0\\.1:${victim?.port}`, 'u'));
    await victim?.thaw();
  }, 60_000);
});

describe('the monitor', () => {
  it('asks once for all who ask at the same time, and again only when the answer is old', async () => {
    const target = await server();
    const proxy = await startFaultProxy({ to: target });
    onTestFinished(() => proxy.stop());
    const { monitor } = await watch({ url: `redis://127.0.0.1:${proxy.port}` });
    await Promise.all(Array.from({ length: 50 }, () => monitor.check()));
    await monitor.check();
    expect(proxy.count('SET')).toBe(1);
    await until(
      async () => {
        await monitor.check();
        return proxy.count('SET') === 2;
      },
      { what: 'a second question' },
    );
  });

  it('opens no connection of its own', async () => {
    const target = await server();
    const proxy = await startFaultProxy({ to: target });
    onTestFinished(() => proxy.stop());
    const { redis } = await watch({ url: `redis://127.0.0.1:${proxy.port}` });
    const before = proxy.stats.connections;
    for (let i = 0; i < 20; i += 1) {
      const fresh = new HealthMonitor({ clients: [redis.adapter.port], namespace: 'health-test' });
      await fresh.check();
    }
    expect(proxy.stats.connections).toBe(before);
  });

  it('takes what a capability says of itself, also when that goes wrong', async () => {
    const { redis } = await watch({ topology: 'embedded' });
    const parts = [
      {
        name: 'fallback',
        health: () => ({ state: 'degraded', reason: 'serving in place of Redis' }) as const,
      },
      {
        name: 'broken',
        health: (): never => {
          throw new Error('no idea');
        },
      },
    ];
    const monitor = new HealthMonitor({ clients: [redis.adapter.port], namespace: 'health-test', parts });
    expect(await monitor.check()).toMatchObject({
      state: 'degraded',
      connections: { default: { state: 'up' } },
      parts: {
        fallback: { reason: 'serving in place of Redis' },
        broken: { reason: 'can not tell: no idea' },
      },
    });
  });
});

describe('Terminus', () => {
  it('takes the indicator as it is, down and degraded too', async () => {
    const { url, process: redis } = await server();
    const { app } = await boot({
      imports: [
        TerminusModule.forRoot({ logger: false }),
        RedisModule.forRoot({ url, connections: { spare: { topology: 'embedded' } } }),
      ],
    });
    const checks = app.get(HealthCheckService, { strict: false });
    const indicator = app.get(RedisHealthIndicator);
    const ask = (require?: string[]) =>
      checks.check([() => indicator.check('redis', require === undefined ? {} : { require })]);

    expect(await ask()).toMatchObject({ status: 'ok', details: { redis: { status: 'up' } } });
    await redis.kill();
    await until(async () => (await indicator.check()).redis.status === 'down', { what: 'down' });
    await expect(ask()).rejects.toMatchObject({ status: 503 });
    expect(await ask(['spare'])).toMatchObject({ status: DEGRADED });
    await expect(ask(['default'])).rejects.toMatchObject({ status: 503 });
    await expect(ask(['nobody'])).rejects.toMatchObject({ status: 503 });
  });
});

describe('the routes', () => {
  it('keep the process alive and ready through an outage, and tell of it where asked', async () => {
    const { url, process: redis } = await server();
    const ask = await routes({ url }, {});
    expect(await ask('/health/live')).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await ask('/health/ready')).toMatchObject({ status: 200, body: { status: 'ok' } });
    await redis.kill();
    await until(async () => (await ask('/health/redis')).status === 503, { what: 'a 503 for Redis' });
    const told = await ask('/health/redis');
    expect(told.body).toMatchObject({ error: { redis: { connections: { default: { state: 'down' } } } } });
    expect(told.cacheControl).toBe('no-store');
    expect(await ask('/health/live')).toMatchObject({ status: 200 });
    const ready = await ask('/health/ready');
    expect(ready).toMatchObject({ status: 200, body: { status: DEGRADED } });
    expect(JSON.stringify(ready.body)).not.toContain('127.0.0.1');
  });

  it('are not ready without a connection that is required, and lie where one wants them', async () => {
    const { url, process: redis } = await server();
    const ask = await routes({ url }, { path: 'ops/health', require: ['default'] });
    expect(await ask('/ops/health/ready')).toMatchObject({ status: 200 });
    await redis.kill();
    await until(async () => (await ask('/ops/health/ready')).status === 503, { what: 'a 503' });
  });

  it('tell nodes only to whom the guards let in', async () => {
    const ask = await routes({ topology: 'embedded' }, { guards: [{ canActivate: () => false }] });
    expect(await ask('/health/redis')).toMatchObject({ status: 403 });
    expect(await ask('/health/ready')).toMatchObject({ status: 200 });
  });
});

type HealthRoutesOptions = Parameters<typeof RedisHealthModule.forRoot>[0];

async function routes(options: RedisModuleOptions, health: HealthRoutesOptions) {
  class TestModule {
    readonly name = 'the test';
  }
  Module({ imports: [RedisModule.forRoot(options), RedisHealthModule.forRoot(health)] })(TestModule);
  const app = await NestFactory.create(TestModule, { abortOnError: false, logger: false });
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  const base = await app.getUrl();
  return async (path: string) => {
    const answer = await fetch(`${base}${path}`);
    const body: unknown = await answer.json();
    return { status: answer.status, body, cacheControl: answer.headers.get('cache-control') };
  };
}
