/** A slot of a cluster that is on its way from one server to another, with some of its keys here and some there. */
import { expect, it, onTestFinished } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { keySlot } from '@anbar/nestjs-redis/connection';
import { startCluster } from '../topology/index.js';

const KEYS = Array.from({ length: 20 }, (_, i) => `{moving}:${i}`);

it('is read key by key where the servers will not answer for several', async () => {
  const cluster = await startCluster();
  onTestFinished(() => cluster.stop());
  const redis = createRedis(
    { topology: 'cluster', cluster: { nodes: cluster.nodes.map(({ host, port }) => ({ host, port })) } },
    {},
  );
  onTestFinished(() => redis.disconnect());
  const client = redis.adapter.port;
  await Promise.all(KEYS.map((key, i) => client.command('SET', [key, i])));
  const slot = keySlot('{moving}');
  const from = await cluster.ownerOf(slot);
  const to = (await cluster.masters()).find((node) => node !== from);
  if (to === undefined) throw new Error('there is no other server');
  const move = await cluster.beginMove(slot, to);
  await move.migrateKeys(10);
  const read = (): Promise<unknown[]> => Promise.all(KEYS.map((key) => client.command('GET', [key])));
  const values = KEYS.map((_, i) => String(i));
  expect(await read()).toEqual(values);
  await move.finish();
  expect(await read()).toEqual(values);
}, 60_000);
