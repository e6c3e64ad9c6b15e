/** Thousands who wait for one load: each of them may leave, and pays for himself only. */
import { expect, it, onTestFinished } from 'vitest';
import { createClient, resolveConnection } from '../../connection/index.js';
import { CacheService } from '../cache-service.js';

const WAITERS = 20_000;

it('who leaves a load that thousands wait for does not pay for the others', async () => {
  const client = createClient(resolveConnection('many', { topology: 'embedded' }, []));
  const cache = new CacheService({ client, namespace: 'app' });
  onTestFinished(async () => {
    await cache.disconnect({ drain: '0s' });
    await client.disconnect();
  });
  const hang = (): Promise<never> => new Promise(() => undefined);
  const controllers = Array.from({ length: WAITERS }, () => new AbortController());
  const reason = new Error('not interested');
  const calls = controllers.map(({ signal }) => cache.getOrSet('k', hang, { signal }).catch(String));
  await expect.poll(() => cache.stats().coalesced).toBe(WAITERS - 1);
  const startedAt = performance.now();
  for (const controller of controllers) controller.abort(reason);
  // 0.3 s where each pays for himself, 8 s where each walks past all others.
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  expect(new Set(await Promise.all(calls))).toEqual(new Set(['Error: not interested']));
});
