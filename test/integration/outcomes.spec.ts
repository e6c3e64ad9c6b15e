/** What a call is told when the answer does not come, through a wire that swallows it. */
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, type RedisAdapter, type RedisModuleOptions } from '@anbar/nestjs-redis';
import {
  admin,
  shared,
  startFaultProxy,
  startStandalone,
  until,
  type FaultProxy,
} from '../topology/index.js';

let proxy: FaultProxy;

beforeEach(async () => {
  const { host, port } = await shared('standalone');
  proxy = await startFaultProxy({ to: { host, port } });
  return () => proxy.stop();
});

async function open(options: RedisModuleOptions = {}): Promise<RedisAdapter> {
  const redis = createRedis({ host: '127.0.0.1', port: proxy.port, timeout: '300ms', ...options }, {});
  onTestFinished(() => redis.disconnect());
  await redis.adapter.connect({ timeout: '10s' });
  return redis.adapter;
}

async function timed(call: Promise<unknown>): Promise<{ error: unknown; ms: number }> {
  const startedAt = performance.now();
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, ms: performance.now() - startedAt };
}

describe('when no answer comes', () => {
  it('a read has timed out, and nothing has happened', async () => {
    const adapter = await open();
    proxy.blackhole('toClient');
    const { error, ms } = await timed(adapter.get('outcomes:k'));
    expect(error).toMatchObject({ code: 'COMMAND_TIMEOUT', executed: 'no' });
    expect(ms).toBeGreaterThan(280);
    expect(ms).toBeLessThan(450);
  });

  it('a write that was sent has an unknown outcome', async () => {
    const adapter = await open();
    proxy.blackhole('toClient');
    const { error, ms } = await timed(adapter.incr('outcomes:n'));
    expect(error).toMatchObject({ code: 'OUTCOME_UNKNOWN', executed: 'unknown' });
    expect(ms).toBeLessThan(450);
  });

  it('the timeout of a call is its own', async () => {
    const adapter = await open({ timeout: '5s' });
    proxy.blackhole('toClient');
    const { error, ms } = await timed(adapter.get('outcomes:k', { timeout: '100ms' }));
    expect(error).toMatchObject({ code: 'COMMAND_TIMEOUT', details: { timeoutMs: 100 } });
    expect(ms).toBeLessThan(250);
  });

  it('a signal ends the wait with its reason', async () => {
    const adapter = await open({ timeout: '5s' });
    proxy.blackhole('toClient');
    const controller = new AbortController();
    const call = timed(adapter.get('outcomes:k', { signal: controller.signal }));
    controller.abort(new Error('enough'));
    expect((await call).error).toMatchObject({ message: 'enough' });
  });

  it('what is beyond the room for calls is refused at once', async () => {
    const adapter = await open({ pool: { maxInFlight: 10 } });
    proxy.blackhole('toClient');
    const calls = await Promise.all(
      Array.from({ length: 15 }, (_, i) => timed(adapter.get(`outcomes:${i}`))),
    );
    const codes = calls.map(({ error }): unknown => Reflect.get(Object(error), 'code'));
    expect(codes.filter((code) => code === 'BACKPRESSURE')).toHaveLength(5);
    // What had room waits for its answer, or is told that the connection was given up meanwhile.
    expect(
      codes.filter((code) => code !== 'BACKPRESSURE' && code !== undefined),
      String(codes),
    ).toHaveLength(10);
    expect(codes).toContain('COMMAND_TIMEOUT');
    for (const { ms } of calls.slice(10)) expect(ms).toBeLessThan(100);
  });

  it('it recovers when the wire passes again', async () => {
    const adapter = await open();
    proxy.blackhole('both');
    await timed(adapter.get('outcomes:k'));
    await proxy.pass();
    const back = () => adapter.set('outcomes:k', 1).catch(() => false);
    await until(back, { what: 'a write to get through', timeout: 5_000 });
  });
});

it('a script that may be run twice is, also where the server that is asked again does not know it', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const wire = await startFaultProxy({ to: { port: server.port } });
  onTestFinished(() => wire.stop());
  const redis = createRedis({ host: '127.0.0.1', port: wire.port, timeout: '5s', cache: { l1: false } }, {});
  onTestFinished(() => redis.disconnect());
  await redis.cache.set('first', 1);
  await redis.cache.delete('first');
  await redis.cache.set('second', 2);
  const sent = wire.count('EVALSHA');
  wire.blackhole('toClient');
  const deleting = redis.cache.delete('second');
  await until(() => wire.count('EVALSHA') > sent, { what: 'the script to be run' });
  // What a new primary is like: everything of the old one but its scripts.
  await admin(server.port, 'SCRIPT', 'FLUSH');
  wire.rst();
  await wire.pass();
  await deleting;
  expect(wire.count('EVAL')).toBeGreaterThan(0);
  expect(await redis.cache.get('second')).toBeUndefined();
});
