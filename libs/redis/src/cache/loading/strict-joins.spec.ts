/** Strict caches do nothing without Redis, also for those who join while somebody is asking it in vain. */
import { expect, it, onTestFinished } from 'vitest';
import { clientButFor } from '../../../testing/scenes/client-but-for.js';
import { settled } from '../../../testing/scenes/still-cache.js';
import { createClient, resolveConnection } from '../../connection/index.js';
import { CacheService } from '../cache-service.js';
import type { CacheOutcome } from '../call.options.js';

/** A client of which so many questions for a lease, after the first ones, fail when the test says so. */
function open({ answered = 0, failures = 1 } = {}) {
  const inner = createClient(resolveConnection('strict', { topology: 'embedded' }, []));
  const failing: ((error: Error) => void)[] = [];
  let asked = 0;
  const client = clientButFor(inner, 'command', (command) => (...args) => {
    if (args[0] !== 'SET') return command(...args);
    asked += 1;
    if (asked <= answered || failing.length === failures) return command(...args);
    return new Promise((_resolve, reject) => failing.push(reject));
  });
  const cache = new CacheService({ client, namespace: 'app' }, { strict: true });
  onTestFinished(async () => {
    await cache.disconnect({ drain: '0s' });
    await inner.disconnect();
  });
  return { cache, failing };
}

it('who joined after the question asks anew, and is answered when Redis is', async () => {
  const { cache, failing } = open();
  const outcomes: CacheOutcome[] = [];
  const first = cache.getOrSet('k', () => 1).catch(String);
  await settled();
  const second = cache.getOrSet('k', () => 2, { onOutcome: (outcome) => void outcomes.push(outcome) });
  await settled();
  failing[0]?.(new Error('away'));
  expect([await first, await second]).toEqual(['Error: away', 2]);
  expect(outcomes).toEqual(['loaded']);
  expect(await cache.get('k')).toBe(2);
});

it('who joined after the question fails by the next one, and no loader runs', async () => {
  const { cache, failing } = open({ failures: 2 });
  let calls = 0;
  const load = (): number => (calls += 1);
  const first = cache.getOrSet('k', load).catch(String);
  await settled();
  const second = cache.getOrSet('k', load).catch(String);
  await settled();
  failing[0]?.(new Error('away'));
  await settled();
  failing[1]?.(new Error('still away'));
  expect([await first, await second]).toEqual(['Error: away', 'Error: still away']);
  expect(calls).toBe(0);
});

it('a refresh that Redis does not hear of is given up, and the next one is begun', async () => {
  const { cache, failing } = open({ answered: 1 });
  const options = { ttl: 0.001, stale: '1h' } as const;
  await cache.getOrSet('k', () => 'old', options);
  await new Promise((resolve) => setTimeout(resolve, 5));
  let calls = 0;
  const load = (): string => `new ${(calls += 1)}`;
  expect(await cache.getOrSet('k', load, options)).toBe('old');
  await settled();
  failing[0]?.(new Error('away'));
  await settled();
  expect(calls).toBe(0);
  expect(await cache.getOrSet('k', load, options)).toBe('old');
  await settled();
  expect(calls).toBe(1);
});
