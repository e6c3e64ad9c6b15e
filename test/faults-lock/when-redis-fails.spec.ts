/** Locks while the connection is cut, the server is gone, or what it knew is lost. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { LockService } from '@anbar/nestjs-redis/lock';
import {
  admin,
  startFaultProxy,
  startStandalone,
  until,
  type FaultProxy,
  type Standalone,
} from '../topology/index.js';

let server: Standalone;
let proxy: FaultProxy;
let redis: Redis;
let locks: LockService;

beforeEach(async () => {
  server = await startStandalone();
  proxy = await startFaultProxy({ to: { port: server.port } });
  redis = createRedis({ url: `redis://127.0.0.1:${proxy.port}`, connectTimeout: '5s' }, {});
  await redis.connect();
  locks = new LockService({ client: redis.adapter.port, namespace: 'app' });
});

afterEach(async () => {
  await locks.disconnect({ drain: '10ms' });
  await redis.disconnect();
  await proxy.stop();
  await server.stop();
});

/** Aborts when the signal does; answers when that was. */
function abortOf(signal: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(performance.now()), { once: true });
  });
}

describe('a holder that is cut off', () => {
  it('is told before the lock is free for others', async () => {
    const lock = await locks.acquire('cut', { ttl: '600ms' });
    const aborted = abortOf(lock.signal);
    proxy.blackhole('both');
    let goneAt = 0;
    const gone = until(
      async () => {
        if ((await admin(server.port, 'EXISTS', 'app:v1:lock:{cut}')) !== 0) return false;
        goneAt = performance.now();
        return true;
      },
      { what: 'the expiry', every: 2 },
    );
    const [abortedAt] = await Promise.all([aborted, gone]);
    console.log(`aborted ${Math.round(goneAt - abortedAt)} ms before the lock was seen to be gone`);
    expect(abortedAt - goneAt).toBeLessThan(100);
    expect(() => lock.assertHeld()).toThrow(/not renewed within its ttl/u);
  });

  it('keeps the lock when the cut is shorter than the ttl', async () => {
    const lock = await locks.acquire('blip', { ttl: '1500ms' });
    proxy.rst();
    proxy.blackhole('both');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await proxy.pass();
    await new Promise((resolve) => setTimeout(resolve, 1_600));
    expect(lock.signal.aborted).toBe(false);
    expect(await lock.release()).toBe(true);
  });

  it('that works on to its end is told by the run, and its own error stays its own', async () => {
    const own = new Error('of the work');
    const outcomes = await Promise.allSettled([
      locks.run('done', { ttl: '300ms' }, async ({ signal }) => {
        proxy.blackhole('both');
        await abortOf(signal);
        return 'done';
      }),
      locks.run('failed', { ttl: '300ms' }, async ({ signal }) => {
        proxy.blackhole('both');
        await abortOf(signal);
        throw own;
      }),
    ]);
    expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: { code: 'LOCK_LOST' } });
    expect(outcomes[1]).toEqual({ status: 'rejected', reason: own });
  });
});

describe('work that was done under its lock', () => {
  it('has it released as soon as Redis is back', async () => {
    await locks.run('later', { ttl: '15s' }, () => proxy.blackhole('both'));
    expect(await admin(server.port, 'EXISTS', 'app:v1:lock:{later}')).toBe(1);
    await proxy.pass();
    await until(async () => (await admin(server.port, 'EXISTS', 'app:v1:lock:{later}')) === 0, {
      what: 'the release',
    });
  });

  it('is not failed by a release that does not get through', async () => {
    const startedAt = performance.now();
    const outcome = await locks.run('release', { ttl: '5s' }, () => {
      proxy.blackhole('both');
      return 'done';
    });
    expect(outcome).toBe('done');
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it('does not look lost when the answer to the release was', async () => {
    // The scripts are known to the server then, and the lost answer is the one to the release.
    await locks.run('repeated', () => undefined);
    const outcome = await locks.run('repeated', { ttl: '30s' }, () => {
      proxy.swallowThenReset();
      return 'done';
    });
    expect(outcome).toBe('done');
    await until(async () => (await admin(server.port, 'EXISTS', 'app:v1:lock:{repeated}')) === 0, {
      what: 'the release',
    });
  });
});

describe('without Redis', () => {
  it('nobody gets a lock, and everybody is told within the deadline', async () => {
    proxy.blackhole('both');
    for (const order of ['any', 'fifo'] as const) {
      const startedAt = performance.now();
      const refused = locks.run('away', { order, wait: '10s' }, () => expect.unreachable('it ran'));
      await expect(refused).rejects.toMatchObject({ code: 'LOCK_UNAVAILABLE' });
      expect(performance.now() - startedAt).toBeLessThan(1_500);
    }
    await proxy.refuse();
    proxy.rst();
    await expect(locks.run('away', () => expect.unreachable('it ran'))).rejects.toMatchObject({
      code: 'LOCK_UNAVAILABLE',
    });
  });

  it('who waits already goes on waiting, gets the lock afterwards, or is told why not', async () => {
    const other = createRedis({ url: server.url }, {});
    const theirs = new LockService({ client: other.adapter.port, namespace: 'app' });
    const lock = await theirs.acquire('wait', { ttl: '20s' });
    const patient = locks.run('wait', { wait: '15s' }, () => 'served');
    const hasty = locks.run('wait', { wait: '2500ms', order: 'fifo' }, () => expect.unreachable('it ran'));
    const told = expect(hasty).rejects.toMatchObject({ code: 'LOCK_UNAVAILABLE' });
    await until(() => locks.stats().waiting === 2, { what: 'the waiters' });
    proxy.blackhole('both');
    // What is told now is not heard.
    await lock.release();
    await told;
    await proxy.pass();
    expect(await patient).toBe('served');
    await theirs.disconnect();
    await other.disconnect();
  });

  it('a lock that may have been taken unseen is given back', async () => {
    proxy.blackhole('toClient');
    await expect(locks.run('unseen', () => expect.unreachable('it ran'))).rejects.toMatchObject({
      code: 'LOCK_UNAVAILABLE',
    });
    await proxy.pass();
    const outcome = await locks.run('unseen', { wait: '5s' }, () => 'served');
    expect(outcome).toBe('served');
  });
});

it('a server that came back without its data is noticed when the connection stands, not at the renewal', async () => {
  const lock = await locks.acquire('forgotten', { ttl: '60s' });
  const aborted = abortOf(lock.signal);
  const ready = new Promise<number>((resolve) => {
    const stop = redis.adapter.port.on('ready', () => {
      stop();
      resolve(performance.now());
    });
  });
  await admin(server.port, 'FLUSHALL');
  proxy.rst();
  const [abortedAt, readyAt] = await Promise.all([aborted, ready]);
  console.log(`aborted ${Math.round(abortedAt - readyAt)} ms after the connection stood again`);
  expect(abortedAt - readyAt).toBeLessThan(100);
  expect(await lock.release()).toBe(false);
});
