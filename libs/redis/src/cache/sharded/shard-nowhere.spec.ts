import { expect, it } from 'vitest';
import { createNowhere } from './shard-nowhere.js';
import { ShardUnavailableError } from './sharded.errors.js';

it('refuses everything with one error, as each of its own would cost those who read other shards', async () => {
  const nowhere = createNowhere();
  const refusals = await Promise.all(
    [nowhere.command('GET', ['a']), nowhere.command('GET', ['b']), nowhere.pipeline([])].map((call) =>
      call.then(
        () => undefined,
        (error: unknown) => error,
      ),
    ),
  );
  expect(refusals[0]).toBeInstanceOf(ShardUnavailableError);
  expect(new Set(refusals).size).toBe(1);
});

it('is no rejection that nobody handles when nobody asks', async () => {
  const unhandled: unknown[] = [];
  const hear = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', hear);
  createNowhere();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', hear);
  expect(unhandled).toEqual([]);
});
