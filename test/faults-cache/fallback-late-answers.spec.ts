/** Changes that a real server does late, and answers in time, when other calls have already given it up. */
import { expect, it, onTestFinished } from 'vitest';
import { DEADLINE_MS, FallbackStage } from './fallback-stage.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it.each([{ l1: false }, {}] as const)('they count here as well, and are not undone: %o', async (options) => {
  const stage = await FallbackStage.open(options);
  onTestFinished(() => stage.close());
  const { cache, others, server } = stage;
  await cache.set('k', 'old', { tags: ['t'] });
  await cache.hset('h', 'f', 'old');
  expect([await cache.get('k'), await cache.hget('h', 'f')]).toEqual(['old', 'old']);
  await server.process.freeze();
  const givenUp = cache.get('something');
  // They have this much time left when the first one has none.
  await pause(DEADLINE_MS * 0.6);
  const changing = Promise.all([cache.hset('h', 'f', 'new'), cache.invalidateTags('t')]);
  await givenUp;
  expect(cache.state.mode).toBe('fallback');
  await server.process.thaw();
  await changing;
  expect([await cache.get('k'), await cache.hget('h', 'f')]).toEqual([undefined, 'new']);
  await stage.back();
  expect([await cache.get('k'), await cache.hget('h', 'f')]).toEqual([undefined, 'new']);
  expect([await others.get('k'), await others.hget('h', 'f')]).toEqual([undefined, 'new']);
});
