import { expect, it } from 'vitest';
import { FakeClock } from '@anbar/nestjs-redis/testing';
import { Pace } from './pace.js';

function start(options: { budgetPerSecond?: number; maxLatencyMs?: number } = {}) {
  const clock = new FakeClock();
  const aborting = new AbortController();
  const { budgetPerSecond = 1_000, maxLatencyMs = 25 } = options;
  const pace = new Pace({ budgetPerSecond, maxLatencyMs, clock, signal: aborting.signal });
  /** How long a step takes. */
  const step = async (keys: number, latencyMs = 1): Promise<number> => {
    const from = clock.now();
    let done = false;
    const stepping = pace.step(keys, latencyMs).finally(() => (done = true));
    for (let waits = 0; waits < 10_000; waits += 1) {
      // However many turns of promises the step takes: time stands still meanwhile.
      await new Promise((resolve) => setImmediate(resolve));
      if (done) break;
      clock.advance(1);
    }
    await stepping;
    return clock.now() - from;
  };
  return { clock, pace, step, aborting };
}

it('lets as many keys pass in a second as the budget says', async () => {
  const { step } = start();
  let taken = 0;
  for (let i = 0; i < 20; i += 1) taken += await step(100);
  expect(Math.abs(taken - 2_000)).toBeLessThan(50);
});

it('does not make up for time that was lost', async () => {
  const { clock, step } = start();
  await step(100);
  clock.advance(60_000);
  let taken = 0;
  for (let i = 0; i < 10; i += 1) taken += await step(100);
  expect(Math.abs(taken - 1_000)).toBeLessThan(25);
});

it('takes steps that are small, and not too small', () => {
  expect(start({ budgetPerSecond: 1 }).pace.page).toBe(10);
  expect(start({ budgetPerSecond: 5_000 }).pace.page).toBe(50);
  expect(start({ budgetPerSecond: 1_000_000 }).pace.page).toBe(100);
});

it('pauses after a slow round trip, longer after each one more, and goes on after a fast one', async () => {
  const { pace, step } = start({ budgetPerSecond: 1_000_000 });
  const pauses: number[] = [];
  for (const latency of [26, 30, 100, 250, 400, 3_000, 3_000]) pauses.push(await step(10, latency));
  expect(pauses).toEqual([100, 200, 400, 800, 1_600, 2_000, 2_000]);
  expect(await step(10, 25)).toBeLessThan(2);
  expect(await step(10, 26)).toBe(100);
  expect(pace.pausedMs).toBe(7_200);
});

it('ends a wait when it is told to', async () => {
  const { pace, aborting } = start({ budgetPerSecond: 1 });
  const waiting = pace.step(1_000, 1);
  aborting.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});
