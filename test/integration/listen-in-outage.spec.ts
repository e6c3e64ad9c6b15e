/** A listener that is begun while Redis does not answer hears what comes once it does. */
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { startStandalone, type Standalone } from '../topology/index.js';

const MODES = ['stream', 'group'] as const;
let server: Standalone;

beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

async function open(timeout: '250ms' | '5s') {
  const redis = createRedis({ url: server.url, timeout, connectTimeout: '10s' }, {});
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  return redis;
}

it.each(MODES)('begins to listen to a %s behind an open breaker', async (mode) => {
  const redis = await open('5s');
  redis.adapter.isolate();
  const listening = redis.pubsub.subscribe(`isolated-${mode}`, { mode });
  const first = listening.next();
  first.catch(() => undefined);
  await expect(listening.start()).rejects.toMatchObject({ code: 'CIRCUIT_OPEN' });
  redis.adapter.restore();

  const sending = setInterval(() => {
    redis.pubsub.publish(`isolated-${mode}`, 'heard', { mode }).catch(() => undefined);
  }, 100);
  onTestFinished(() => clearInterval(sending));
  expect(await first).toMatchObject({ done: false, value: { data: 'heard' } });
  await listening.return();
});

it.each(MODES)('begins to listen to a %s on a server that stands still', async (mode) => {
  const redis = await open('250ms');
  await server.process.freeze();
  const listening = redis.pubsub.subscribe(`frozen-${mode}`, { mode });
  const first = listening.next();
  first.catch(() => undefined);
  try {
    await expect(listening.start()).rejects.toMatchObject({ executed: expect.any(String) as string });
  } finally {
    await server.process.thaw();
  }
  const sending = setInterval(() => {
    redis.pubsub.publish(`frozen-${mode}`, 'heard', { mode }).catch(() => undefined);
  }, 100);
  onTestFinished(() => clearInterval(sending));
  expect(await first).toMatchObject({ done: false, value: { data: 'heard' } });
  await listening.return();
});
