/** The end of a process that is in the middle of something: nothing of it is left behind. */
import { expect, it, onTestFinished } from 'vitest';
import { ServerRoom } from './sharded-lines.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it('a look at the topology that finds a newer one after the end rejects to nobody', async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  onTestFinished(() => void process.off('unhandledRejection', onUnhandled));
  // Long enough that no look is due by itself.
  const room = new ServerRoom(2_000);
  const [one, other] = [room.process(['a']), room.process(['a'])];
  for (const { cache } of [one, other]) await cache.connect({ timeout: '20s' });
  await pause(100);
  one.line('a').isDeaf = true;
  const letGo = one.line('a').hold('shards.renew');
  await expect(one.cache.drain('nobody')).rejects.toMatchObject({ code: 'SHARD_CHANGE' });
  await expect(other.cache.drain('nobody')).rejects.toMatchObject({ code: 'SHARD_CHANGE' });
  const closing = one.cache.disconnect();
  letGo();
  await closing;
  await pause(50);
  expect(unhandled).toEqual([]);
}, 30_000);
