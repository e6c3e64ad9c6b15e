/** A thousand waiters for one lock: what they cost while nothing happens, and while the lock goes round. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import { LockService } from '@anbar/nestjs-redis/lock';
import { admin, startStandalone, until, type Standalone } from '../topology/index.js';

/** Each as a process of its own would be, with connections of its own. */
const SERVICES = 4;
const WAITERS = Number(process.env['WAITERS'] ?? 1_000);
const IDLE_MS = 1_000;

let server: Standalone;
let fleet: readonly { readonly redis: Redis; readonly locks: LockService }[] = [];

beforeAll(async () => {
  server = await startStandalone();
  fleet = Array.from({ length: SERVICES }, () => {
    const redis = createRedis({ url: server.url, timeout: '5s', connectTimeout: '10s' }, {});
    return { redis, locks: new LockService({ client: redis.adapter.port, namespace: 'app' }) };
  });
  await Promise.all(fleet.map(({ redis }) => redis.connect()));
});

afterAll(async () => {
  for (const { redis, locks } of fleet) {
    await locks.disconnect();
    await redis.disconnect();
  }
  await server.stop();
});

/** Calls of the commands that locks send; heartbeats and the test's own questions are none of them. */
async function calls(): Promise<Record<string, number>> {
  const text = String(await admin(server.port, 'INFO', 'commandstats'));
  const lines = [...text.matchAll(/^cmdstat_([a-z|]+):calls=(\d+)/gmu)];
  const counted = lines.map(([, name = '', count]) => [name, Number(count)] as const);
  return Object.fromEntries(counted.filter(([name]) => /^(?:eval|evalsha|publish|subscribe)$/u.test(name)));
}

function difference(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]),
  );
}

describe.each(['any', 'fifo'] as const)(`${WAITERS} waiters, order %s`, (order) => {
  it('do not poll, and hand the lock on with a few commands each', { timeout: 60_000 }, async () => {
    const key = `crowd-${order}`;
    const [first] = fleet;
    const lock = await first?.locks.acquire(key, { order, ttl: '60s' });
    let served = 0;
    const waiters = fleet.flatMap(({ locks }) =>
      Array.from({ length: WAITERS / SERVICES }, () =>
        locks.run(key, { order, wait: '50s', ttl: '60s' }, () => {
          served += 1;
        }),
      ),
    );
    const waiting = (): number => fleet.reduce((all, { locks }) => all + locks.stats().waiting, 0);
    await until(() => waiting() === WAITERS, { what: 'the waiters' });
    // The subscriptions are confirmed, and each line has looked once more.
    await sleep(300);

    const before = await calls();
    await sleep(IDLE_MS);
    const idle = difference(await calls(), before);
    const startedAt = performance.now();
    await lock?.release();
    await Promise.all(waiters);
    const tookMs = performance.now() - startedAt;
    const busy = difference(difference(await calls(), before), idle);

    const total = (counts: Record<string, number>): number =>
      Object.values(counts).reduce((all, count) => all + count, 0);
    const perSecond = total(idle) / (IDLE_MS / 1_000);
    const perHandOver = (busy['evalsha'] ?? 0) / WAITERS;
    console.log(
      `${WAITERS} waiters in ${SERVICES} services, ${order}: waiting ${perSecond} commands/s; ` +
        `${served} served in ${Math.round(tookMs)} ms, ${perHandOver.toFixed(2)} scripts each`,
      JSON.stringify({ idle, busy }),
    );
    expect(served).toBe(WAITERS);
    expect(perSecond).toBeLessThanOrEqual(SERVICES);
    // Per hand-over: the release, and at most one question by each service.
    expect(perHandOver).toBeLessThanOrEqual(SERVICES + 2);
  });
});
