/** One shard that begins anew again and again. */
import { expect, it, onTestFinished } from 'vitest';
import { createClient, PassingClient, resolveConnection, type ClientEvents } from '../../connection/index.js';
import { TestClock } from '../../../testing/test-clock.js';
import { LoadSlots } from '../loading/load-slots.js';
import { Shard } from './shard.js';
import { freshGeneration, ShardedKeys } from './sharded.keys.js';

/** Knows how many listen to it. */
class HeardClient extends PassingClient {
  listeners = 0;

  override on<E extends keyof ClientEvents>(
    event: E,
    listener: (detail: ClientEvents[E]) => void,
  ): () => void {
    const stop = super.on(event, listener);
    this.listeners += 1;
    return () => {
      this.listeners -= 1;
      stop();
    };
  }
}

it('lets each generation go a minute after its end, though others end meanwhile', async () => {
  const clock = new TestClock(Date.now());
  const client = new HeardClient(createClient(resolveConnection('a', { topology: 'embedded' }, [])));
  const shard = new Shard({
    id: 'a',
    opened: { client, address: '' },
    keys: new ShardedKeys('app'),
    codec: undefined,
    l1: false,
    clock,
    random: undefined,
    optionsOf: () => ({}),
    slotsOf: () => new LoadSlots(1),
    watchOf: () => ({ taking: false, sourceOf: () => undefined, guard: (work) => work() }),
    onRestarted: () => undefined,
  });
  onTestFinished(() => shard.close());
  const heard: number[] = [];
  for (let round = 0; round < 12; round += 1) {
    shard.begin(freshGeneration(clock.wallNow()), '');
    await clock.advance('30s');
    heard.push(client.listeners);
  }
  expect(heard.at(-1)).toBe(heard[5]);
});
