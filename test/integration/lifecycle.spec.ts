/** Boot with and without a server, recovery, and that nothing stays open behind a closed application. */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, RedisAdapter, RedisModule, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { shared, startStandalone, until, type Standalone } from '../topology/index.js';
import { boot, bootFailure } from './boot.js';

/** A server that is not there, on a port that stays reserved until it is started. */
async function absentServer(): Promise<Standalone> {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  await server.process.kill();
  return server;
}

const HOLDING = new Set([
  'TCPSocketWrap',
  'TCPWRAP',
  'TLSWrap',
  'TCPConnectWrap',
  'Timeout',
  'GetAddrInfoReqWrap',
]);

/** What keeps this process alive: sockets and timers. */
function holding(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((each) => HOLDING.has(each))
    .toSorted();
}

describe("connect: 'required'", () => {
  it('refuses to boot without a server, within its time and saying why', async () => {
    const { url, port } = await absentServer();
    const startedAt = performance.now();
    const options: RedisModuleOptions = { url, connect: 'required', connectTimeout: '400ms' };
    const failure = await bootFailure({ imports: [RedisModule.forRoot(options)] });
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    expect(failure).toMatchObject({ code: 'CONNECT_FAILED' });
    expect(Reflect.get(failure, 'hint')).toContain("'lazy'");
    expect(failure.message).toContain(`127.0.0.1:${port}: connect ECONNREFUSED`);
    expect(failure.message).toContain('within 400 ms');
  });

  it('boots with a server, and its first call needs no patience', async () => {
    const { url } = await shared('standalone');
    const { app, log } = await boot({ imports: [RedisModule.forRoot({ url, connect: 'required' })] });
    expect(app.get(RedisAdapter).status().health).toBe('up');
    expect(log).toEqual([expect.stringMatching(/'default' uses standalone Redis at 127\.0\.0\.1:\d+/u)]);
  });

  it('leaves nothing running behind a boot that failed', async () => {
    const { url } = await absentServer();
    const before = holding();
    const options: RedisModuleOptions = { url, connect: 'required', connectTimeout: '200ms' };
    await bootFailure({ imports: [RedisModule.forRoot(options)] });
    await until(() => holding().length <= before.length, { what: 'sockets and timers to be gone' });
  });
});

describe("connect: 'lazy'", () => {
  it('boots at once without a server, says so once, and recovers by itself', async () => {
    const server = await absentServer();
    const startedAt = performance.now();
    const { app, log } = await boot({ imports: [RedisModule.forRoot({ url: server.url })] });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    const adapter = app.get(RedisAdapter);

    await until(() => log.some((line) => line.includes('lost')), { what: 'the loss to be told' });
    for (let i = 0; i < 20; i += 1) {
      await expect(adapter.get('k')).rejects.toMatchObject({ executed: 'no' });
    }
    expect(adapter.status()).toMatchObject({ health: 'down' });
    expect(log.filter((line) => line.includes('lost'))).toHaveLength(1);

    await server.process.restart('empty');
    await until(() => adapter.set('k', 'back').catch(() => false), {
      what: 'the first write',
      timeout: 3_000,
    });
    expect(await adapter.get('k')).toBe('back');
    expect(adapter.status()).toMatchObject({ health: 'up' });
    expect(log.filter((line) => line.includes('is connected to'))).toHaveLength(1);
    expect(log).toHaveLength(3);
  });
});

describe('closing', () => {
  let places: readonly [string, RedisModuleOptions][];

  beforeAll(async () => {
    const [{ url }, { name, sentinels }, { nodes }] = await Promise.all([
      shared('standalone'),
      shared('sentinel'),
      shared('cluster'),
    ]);
    places = [
      ['embedded', { topology: 'embedded' }],
      ['standalone', { url }],
      ['sentinel', { sentinel: { name, nodes: sentinels }, readFrom: 'preferReplica' }],
      ['cluster', { cluster: { nodes }, readFrom: 'preferReplica' }],
    ];
  });

  it.each(['embedded', 'standalone', 'sentinel', 'cluster'])('leaves nothing open: %s', async (place) => {
    const options = places.find(([name]) => name === place)?.[1] ?? {};
    const before = holding();
    const { app } = await boot({ imports: [RedisModule.forRoot({ ...options, timeout: '5s' })] });
    const adapter = app.get(RedisAdapter);
    const subscription = adapter.subscribe('lifecycle', () => undefined);
    await subscription.ready;
    await adapter.set('lifecycle', 1, '1m');
    await app.close();
    await until(() => holding().length <= before.length, { what: `${holding().join()} to be gone` });
    await expect(adapter.get('lifecycle')).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it('settles every call, also while the server is away', async () => {
    const { url } = await absentServer();
    const before = holding();
    const redis = createRedis({ url, timeout: '10s', breaker: false }, {});
    const calls = Array.from({ length: 50 }, (_, i) => redis.adapter.set(`${i}`, i));
    const outcomes = Promise.allSettled(calls);
    await redis.disconnect();
    const codes = (await outcomes).map(
      (each): unknown => each.status === 'rejected' && Reflect.get(Object(each.reason), 'code'),
    );
    expect(new Set(codes).size).toBeGreaterThan(0);
    expect(codes.every((code) => code === 'CONNECTION_CLOSED' || code === 'NOT_CONNECTED')).toBe(true);
    await until(() => holding().length <= before.length, { what: 'sockets and timers to be gone' });
  });
});
