import { afterEach, beforeEach, expect, it } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { createClient, resolveConnection, type RedisClient } from '../connection/index.js';
import { MessageHandlers, type Handler } from './message-handlers.js';
import type { Message } from './message.js';
import { PubSub } from './pub-sub.js';

let client: RedisClient;
let clock: FakeClock;
let pubsub: PubSub;
let handlers: MessageHandlers;
let errors: unknown[];

beforeEach(() => {
  client = createClient(resolveConnection('handlers', { topology: 'embedded' }, []));
  clock = new FakeClock();
  pubsub = new PubSub({ client, namespace: 'app', clock });
  errors = [];
  handlers = new MessageHandlers({ pubsub, clock, onError: (_, error) => void errors.push(error) });
});

afterEach(async () => {
  await pubsub.disconnect();
  await client.disconnect();
});

const never = new Promise<never>(() => undefined);

function handlerOf(handle: (message: Message) => unknown, options: Handler['options'] = {}): Handler {
  return { channel: 'work', name: 'Worker.onWork', options, handle };
}

it.each([1, 2])('a handler that hangs does not hold up the closing, concurrency %i', async (concurrency) => {
  await handlers.add(handlerOf(() => never, { concurrency }));
  await pubsub.publish('work', 'one');
  await pubsub.publish('work', 'two');
  await expect.poll(() => handlers.running).toBe(concurrency);
  let closed = false;
  const closing = handlers.close({ drain: '5s' }).then(() => {
    closed = true;
  });
  await clock.advanceAsync(4_999);
  expect(closed).toBe(false);
  await clock.advanceAsync(1);
  await closing;
});

it('what is being handled is waited for, and nothing else is begun', async () => {
  const begun: unknown[] = [];
  let finish: () => void = () => undefined;
  const work = new Promise<void>((resolve) => {
    finish = resolve;
  });
  await handlers.add(
    handlerOf(({ data }) => {
      begun.push(data);
      return work;
    }),
  );
  await pubsub.publish('work', 'one');
  await pubsub.publish('work', 'two');
  await expect.poll(() => handlers.running).toBe(1);
  const closing = handlers.close();
  finish();
  await closing;
  expect(begun).toEqual(['one']);
  expect(clock.pendingTimers).toBe(0);
});

it('a listening that broke off does not begin again when pub/sub was closed meanwhile', async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', note);
  let finish: () => void = () => undefined;
  const work = new Promise<void>((resolve) => {
    finish = resolve;
  });
  await handlers.add(handlerOf(() => work, { overflow: 'error', buffer: 1 }));
  for (const i of [1, 2, 3, 4]) await pubsub.publish('work', i);
  finish();
  await expect.poll(() => errors.length).toBe(1);
  expect(errors).toMatchObject([{ code: 'PUBSUB_OVERFLOW' }]);
  await pubsub.disconnect();
  await clock.advanceAsync(1_000);
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
  expect(errors).toHaveLength(1);
  await handlers.close();
});
