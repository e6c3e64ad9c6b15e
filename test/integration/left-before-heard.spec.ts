/** A listener that leaves before its connection stands leaves nothing behind on the server. */
import { expect, it, onTestFinished } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { startStandalone } from '../topology/index.js';

it('does not subscribe for whoever has left meanwhile', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const redis = createRedis({ url: server.url, connectTimeout: '10s' }, {});
  onTestFinished(() => redis.disconnect());
  const { port: client } = redis.adapter;
  const onMessage = (): void => undefined;

  const left = client.subscribe({ channels: ['left', 'shared'], patterns: ['left.*'], onMessage });
  const stays = client.subscribe({ channels: ['stays', 'shared'], onMessage });
  await left.close();
  await Promise.all([left.ready, stays.ready]);

  const heard = await server.process.admin('PUBSUB', 'CHANNELS');
  expect([heard].flat().map(String).toSorted()).toEqual(['shared', 'stays']);
  expect(await server.process.admin('PUBSUB', 'NUMPAT')).toBe(0);
});
