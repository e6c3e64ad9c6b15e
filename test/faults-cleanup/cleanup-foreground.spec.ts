/** An application hardly notices a clean-up: reads beside it take about as long as without it. */
import { expect, it, onTestFinished } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { startStandalone } from '../topology/index.js';
import { plantForeign } from './foreign-keys.js';
import { measureForeground } from './foreground.js';
import { plant } from './planted-keys.js';

const MOST = 1.3;

it('costs reads at most three tenths of their p99', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const redis = createRedis(
    { url: server.url, timeout: '5s', cache: { l1: false }, cleanup: { maxLatency: '1m' } },
    {},
  );
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  await plantForeign(server.port, 5_000);
  await plant(redis.adapter.port, 'app', { rounds: 5, seed: 3 });
  await redis.cache.set('page', 'x');
  // What is done for the first time is slow for reasons of its own.
  await redis.cleanup.run();
  const measure = () =>
    measureForeground(redis, () => redis.cache.get('page'), { rounds: 3, sliceMs: 400, concurrency: 4 });
  // What a neighbour's work has spoiled is measured again.
  let figures = await measure();
  for (let again = 0; again < 2 && figures.ratio > MOST; again += 1) figures = await measure();
  expect(figures.scanned).toBeGreaterThan(0);
  expect(figures.ratio).toBeLessThan(MOST);
});
