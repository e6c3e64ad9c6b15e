/** Who was waiting when a load failed shares its failure, also when they ask for the lease only after it. */
import { afterEach, describe, expect, it } from 'vitest';
import { clientButFor } from '../../../testing/scenes/client-but-for.js';
import { createClient, resolveConnection, type RedisClient } from '../../connection/index.js';
import { createCodec } from '../../codec/index.js';
import { CacheKeys } from '../cache.keys.js';
import { RedisStore } from '../redis-store.js';
import { CacheService } from '../cache-service.js';

let client: RedisClient;

function open(): RedisClient {
  client = createClient(resolveConnection('default', { topology: 'embedded' }, []));
  return client;
}

afterEach(() => client.disconnect());

describe('a lease asked for after a load has failed', () => {
  it.each([
    { waitedMs: 200, state: 'failed' },
    { waitedMs: 0, state: 'granted' },
  ])('by one who has been waiting for $waitedMs ms: $state', async ({ waitedMs, state }) => {
    const keys = new CacheKeys('app', 'default');
    const store = new RedisStore({
      client: open(),
      keys,
      codec: createCodec(),
      schema: 0,
      keepFailureMs: 60_000,
      wallNow: () => Date.now(),
    });
    const key = keys.value('k');
    const first = 'a'.repeat(20);
    await store.acquire(key, { token: first, leaseMs: 1_000 });
    await store.release(key, first, { outcome: 'failed', failure: { message: 'down' } });
    await new Promise((resolve) => setTimeout(resolve, 5));
    const grant = await store.acquire(key, { token: 'b'.repeat(20), leaseMs: 1_000, waitedMs });
    expect(grant.state).toBe(state);
  });
});

it('a caller whose read was on its way when the load failed does not load again', async () => {
  const inner = open();
  let held: Promise<unknown> = Promise.resolve();
  // The second process: its reads are answered, and its lease is asked for, only after the first has failed.
  const slow = clientButFor(inner, 'command', (command) => async (...args) => {
    const reply = command(...args);
    if (args[0] === 'GET') await held;
    return reply;
  });
  const [one, two] = [inner, slow].map((each) => new CacheService({ client: each, namespace: 'app' }));
  let calls = 0;
  const load = async (): Promise<never> => {
    calls += 1;
    await new Promise((resolve) => setTimeout(resolve, 60));
    throw new Error('the origin is down');
  };
  const first = one?.getOrSet('k', load).catch(String);
  held = new Promise((resolve) => setTimeout(resolve, 150));
  const second = two?.getOrSet('k', load).catch(String);
  expect(await Promise.all([first, second])).toEqual([
    'Error: the origin is down',
    'Error: the origin is down',
  ]);
  expect(calls).toBe(1);
  await Promise.all([one?.disconnect(), two?.disconnect()]);
});
