/** The password of the sentinels comes from a vault that may be away for a moment. */
import { expect, it, onTestFinished } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { startSentinel } from '../topology/index.js';

it('asks for the password of a sentinel again when it could not be read', async () => {
  const topology = await startSentinel({ sentinelPassword: 'pw' });
  onTestFinished(() => topology.stop());
  const nodes = topology.sentinels;
  let asked = 0;
  const password = async (): Promise<string> => {
    asked += 1;
    if (asked <= nodes.length) throw new Error('the vault is away');
    return Promise.resolve('pw');
  };
  const redis = createRedis({ sentinel: { name: topology.name, nodes, password }, connectTimeout: '5s' }, {});
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  expect(await redis.adapter.ping()).toBeGreaterThan(0);
}, 60_000);
