/** Places of `'concurrency'` limits while Redis does not answer: none stays taken by somebody who is gone. */
import { expect, it, onTestFinished } from 'vitest';
import { createRedis, type Limit } from '@anbar/nestjs-redis';
import { startFaultProxy, startStandalone, until } from '../topology/index.js';

/** Held far longer than the tests wait: what falls free meanwhile was given back. */
const ROOM: Limit = { name: 'room', algorithm: 'concurrency', limit: 3, hold: '10m', onStoreError: 'open' };
const FREE_AGAIN = { what: 'all places to be free', timeout: 8_000 };

async function openHall() {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const proxy = await startFaultProxy({ to: { port: server.port } });
  onTestFinished(() => proxy.stop());
  const redis = createRedis({ url: `redis://127.0.0.1:${proxy.port}`, timeout: '200ms' }, {});
  onTestFinished(() => redis.disconnect());
  const beside = createRedis({ url: server.url }, {});
  onTestFinished(() => beside.disconnect());
  const free = async (): Promise<number | undefined> =>
    (await beside.limiter.peek('hall', ROOM)).limits[0]?.remaining;
  expect((await redis.limiter.peek('hall', ROOM)).limits[0]?.remaining).toBe(3);
  expect(await free()).toBe(3);
  return { server, proxy, redis, free };
}

it('a place that was given after nobody waited for it any more is free again at once', async () => {
  const { server, redis, free } = await openHall();
  await server.process.freeze();
  const { source, allowed } = await redis.limiter.consume('hall', ROOM);
  expect({ source, allowed }).toEqual({ source: 'open', allowed: true });
  await server.process.thaw();
  await until(async () => (await redis.limiter.peek('hall', ROOM)).source === 'store', {
    what: 'Redis to be back',
  });
  await until(async () => (await free()) === 3, FREE_AGAIN);
});

it('a place whose answer was lost is free again, with nobody asking for it', async () => {
  const { proxy, redis, free } = await openHall();
  proxy.swallowThenReset();
  const { source, allowed } = await redis.limiter.consume('hall', ROOM);
  expect({ source, allowed }).toEqual({ source: 'open', allowed: true });
  await until(async () => (await free()) === 3, FREE_AGAIN);
});

it('a place that Redis could not be told about is given back once it can', async () => {
  const { proxy, redis, free } = await openHall();
  const decision = await redis.limiter.consume('hall', ROOM);
  expect(await free()).toBe(2);
  await proxy.refuse();
  proxy.rst();
  await decision.release();
  expect(await free()).toBe(2);
  await proxy.pass();
  await until(async () => (await free()) === 3, FREE_AGAIN);
});
