/** What the bus can not tell of, a near cache forgets by itself: values, and the clocks that they are judged by. */
import { expect, it, onTestFinished } from 'vitest';
import { CacheService, NearCache, resolveL1 } from '@anbar/nestjs-redis/cache';
import { createClient, resolveConnection } from '@anbar/nestjs-redis/connection';
import { shared, until } from '../topology/index.js';

const BUS_TTL_MS = 400;

it('a tag that somebody invalidated and could not tell of is invalid after busTtl', async () => {
  const client = createClient(resolveConnection('bus-life', {}, [await shared('standalone')]));
  const l1 = resolveL1({ sync: 'bus', busTtl: '400ms' });
  if (l1 === false) throw new Error('it is on');
  const near = new NearCache({ client, l1 });
  const namespace = `bus-life-${process.pid}`;
  const cache = new CacheService({ client, namespace, tiers: near.tiers });
  const silent = new CacheService({ client, namespace });
  onTestFinished(async () => {
    await cache.disconnect();
    await near.close();
    await client.disconnect();
  });
  near.start();
  await until(() => near.stats().by === 'bus', { what: 'the bus' });
  await cache.set('k', 'old', { tags: ['t'] });
  let outcome = '';
  const read = (): Promise<unknown> => cache.get('k', { onOutcome: (each) => void (outcome = each) });
  await until(async () => (await read()) === 'old' && outcome === 'l1', { what: 'a copy' });
  await silent.invalidateTags('t');
  // Readers who come again and again must not keep it alive.
  await until(async () => (await read()) === undefined, {
    what: 'its end',
    timeout: 2 * BUS_TTL_MS + 500,
    every: 20,
  });
  expect(await read()).toBeUndefined();
});
