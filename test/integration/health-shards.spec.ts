/** A shard that is away is told by health: it is a part of the cache and not the whole. */
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { describe, expect, it, type TestContext } from 'vitest';
import { createRedis, RedisModule, type Redis } from '@anbar/nestjs-redis';
import { RedisHealthIndicator, type PartHealth } from '@anbar/nestjs-redis/monitoring';
import { startShards, until, type Standalone } from '../topology/index.js';
import { boot } from './boot.js';

/** As for connections, see `health.spec.ts`. */
const RIGHT_WITHIN_MS = 1_500;

type Servers = Readonly<Record<'a' | 'b' | 'c', Standalone>>;

/** Fleets are tested beside each other: what is to be done after one of them is told to that one. */
type Ends = Pick<TestContext, 'onTestFinished'>;

async function startServers({ onTestFinished }: Ends): Promise<Servers> {
  const started = await startShards(3);
  onTestFinished(() => started.stop());
  const [a, b, c] = started.shards;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three servers were wanted');
  return { a, b, c };
}

function shardsOf({ a, b, c }: Servers) {
  return { a: { url: a.url }, b: { url: b.url }, c: { url: c.url } };
}

async function watch(test: Ends): Promise<{ servers: Servers; redis: Redis }> {
  const servers = await startServers(test);
  const redis = createRedis({ topology: 'embedded', shards: shardsOf(servers), cache: { l1: false } }, {});
  test.onTestFinished(() => redis.disconnect());
  await redis.connect();
  await says(redis, 'up');
  return { servers, redis };
}

async function says({ health }: Redis, state: PartHealth['state'], reason?: RegExp): Promise<PartHealth> {
  const startedAt = performance.now();
  let told: PartHealth | undefined;
  await until(
    async () => {
      told = (await health.check()).parts['shards'];
      return told?.state === state && (reason === undefined || reason.test(told.reason ?? ''));
    },
    { what: `${state} ${String(reason ?? '')}` },
  ).catch((error: unknown) => {
    throw new Error(`it is ${JSON.stringify(told)}`, { cause: error });
  });
  expect(performance.now() - startedAt).toBeLessThan(RIGHT_WITHIN_MS);
  if (told === undefined) throw new Error('there is no such part');
  return told;
}

describe.concurrent('a fleet of three', () => {
  it('is up while all of them serve, and names them', async (test) => {
    const { redis } = await watch(test);
    expect(await says(redis, 'up')).toEqual({
      state: 'up',
      reason: null,
      details: { a: 'up', b: 'up', c: 'up' },
    });
    expect((await redis.health.check()).state).toBe('up');
  });

  it('is degraded without one, which is named, and up when that is back', async (test) => {
    const { redis, servers } = await watch(test);
    await servers.b.process.kill();
    const told = await says(redis, 'degraded', /b is down/u);
    expect(told).toMatchObject({ details: { a: 'up', b: 'down', c: 'up' } });
    expect(await redis.health.check()).toMatchObject({
      state: 'degraded',
      connections: { default: { state: 'up' } },
    });
    await servers.b.process.restart('empty');
    await until(() => redis.sharded.status().shards['b']?.health === 'up', { what: 'the connection' });
    await until(async () => (await redis.health.check()).state === 'up', { what: 'up' });
  });

  it('is degraded while one stands still', async (test) => {
    const { redis, servers } = await watch(test);
    await servers.b.process.freeze();
    await says(redis, 'degraded', /b is down/u);
    await servers.b.process.thaw();
  });

  it('is degraded while one was given up for an invalidation', async (test) => {
    const { redis, servers } = await watch(test);
    await servers.b.process.kill();
    await redis.sharded.flush();
    expect(redis.sharded.status().shards['b']?.state).toBe('out');
    expect(await says(redis, 'degraded', /b is out/u)).toMatchObject({ details: { b: 'out' } });
  });

  it('is degraded while too few answer, and down when none does', async (test) => {
    const { redis, servers } = await watch(test);
    await servers.a.process.kill();
    await servers.b.process.kill();
    await until(() => !redis.sharded.status().current, { what: 'the end of the lease' });
    await says(redis, 'degraded', /a is down.*; b is down.*; too few shards answer/u);
    await servers.c.process.kill();
    await says(redis, 'down');
    expect((await redis.health.check()).state).toBe('down');
  });
});

it('an application without shards has no such part', async ({ onTestFinished }) => {
  const redis = createRedis({ topology: 'embedded' }, {});
  onTestFinished(() => redis.disconnect());
  await redis.sharded.set('k', 1);
  expect(Object.keys((await redis.health.check()).parts)).toEqual(['fallback']);
});

it('Terminus is told of it, and it is no reason for a 503 while others answer', async (test) => {
  const servers = await startServers(test);
  const { app } = await boot({
    imports: [
      TerminusModule.forRoot({ logger: false }),
      RedisModule.forRoot({ topology: 'embedded', shards: shardsOf(servers), connect: 'required' }),
    ],
  });
  const checks = app.get(HealthCheckService, { strict: false });
  const indicator = app.get(RedisHealthIndicator);
  const ask = (require?: string[]) =>
    checks.check([() => indicator.check('redis', require === undefined ? {} : { require })]);
  const becomes = (status: string) =>
    until(async () => (await indicator.check()).redis.status === status, { what: status });

  await becomes('up');
  await servers.b.process.kill();
  await becomes('degraded');
  expect(await indicator.check()).toMatchObject({
    redis: { parts: { shards: { state: 'degraded', details: { b: 'down' } } } },
  });
  await ask();
  await ask(['shards']);
  await servers.a.process.kill();
  await servers.c.process.kill();
  await becomes('down');
  await expect(ask()).rejects.toMatchObject({ status: 503 });
  await expect(ask(['shards'])).rejects.toMatchObject({ status: 503 });
  await ask(['default']);
  await ask([]);
});
