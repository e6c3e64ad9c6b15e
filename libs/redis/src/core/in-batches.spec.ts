import { expect, it } from 'vitest';
import { inBatches } from './in-batches.js';

it.each([0, 1, 250, 251, 1_730])('does %i in order, with at most 250 at once', async (count) => {
  let running = 0;
  let most = 0;
  const items = Array.from({ length: count }, (_, i) => i);
  const results = await inBatches(items, async (item, index) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    return item + index;
  });
  expect(results).toEqual(items.map((item) => item * 2));
  expect(most).toBe(Math.min(count, 250));
});

it('ends with the batch in which something failed', async () => {
  let calls = 0;
  const items = Array.from({ length: 1_200 }, (_, i) => i);
  const work = inBatches(items, (item) => {
    calls += 1;
    return item === 3 ? Promise.reject(new Error('no')) : item;
  });
  await expect(work).rejects.toThrow('no');
  expect(calls).toBe(250);
});
