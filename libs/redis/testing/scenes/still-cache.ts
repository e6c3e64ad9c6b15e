/** A cache whose time stands still until its test moves it, and loads that wait for their test. */
import { CacheService, type CacheOptions } from '../../src/cache/index.js';
import { createClient, resolveConnection, type RedisClient } from '../../src/connection/index.js';
import { FakeClock } from '../fake-clock.js';

export interface StillCache {
  readonly cache: CacheService;
  readonly clock: FakeClock;
  /** Its server, past whatever stands before it. */
  readonly client: RedisClient;
  close(): Promise<void>;
}

/** On an embedded server of its own. What `wrap` makes of that is what the cache sees. */
export function openStillCache(
  options: CacheOptions = {},
  wrap = (inner: RedisClient): RedisClient => inner,
): StillCache {
  const clock = new FakeClock();
  const client = createClient(resolveConnection('still', { topology: 'embedded' }, []), { clock });
  const surroundings = { client: wrap(client), namespace: 'app', clock };
  const cache = new CacheService(surroundings, { jitter: 0, earlyRefresh: false, ...options });
  return {
    cache,
    clock,
    client,
    async close() {
      const closing = cache.disconnect({ drain: '1ms' });
      await clock.advanceAsync(10);
      await closing;
      await client.disconnect();
    },
  };
}

/** Whatever is under way in this process goes as far as it can without time passing. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export interface Gate {
  readonly passed: Promise<void>;
  readonly pass: () => void;
}

export function gate(): Gate {
  let pass: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => (pass = resolve));
  return { passed, pass };
}

/** The load of `outer` has begun; its loader goes on to `then` when it is let. */
export async function loadUnderWay<T>(
  cache: Pick<CacheService, 'getOrSet'>,
  then: () => T | Promise<T>,
): Promise<{ readonly outer: Promise<T>; readonly goOn: () => void }> {
  const { passed, pass } = gate();
  const outer = cache.getOrSet('outer', async () => {
    await passed;
    return then();
  });
  await settled();
  return { outer, goOn: pass };
}
