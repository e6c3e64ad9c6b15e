/** A failover that somebody orders while the primary lives, as when a cluster is upgraded: no write fails of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { keySlot } from '@anbar/nestjs-redis/connection';
import { startCluster, until, type ClusterTopology } from '../topology/index.js';

const WRITERS = 300;
const ROUNDS = 6;
const KEY = '{counted}:n';

async function handOver(cluster: ClusterTopology): Promise<void> {
  await cluster.settled();
  const old = await cluster.ownerOf(keySlot(KEY));
  const replica = await until(async () => (await cluster.replicasOf(old))[0], {
    what: 'a replica to be known',
  });
  await replica.admin('CLUSTER', 'FAILOVER', 'TAKEOVER');
  await until(async () => (await cluster.ownerOf(keySlot(KEY))) === replica, {
    what: 'the replica to have taken over',
    timeout: 20_000,
  });
}

it('fails no write when a replica takes over from a primary that lives', async () => {
  const cluster = await startCluster();
  onTestFinished(() => cluster.stop());
  const nodes = cluster.nodes.map(({ host, port }) => ({ host, port }));
  const redis = createRedis({ topology: 'cluster', cluster: { nodes }, timeout: '5s' }, {});
  onTestFinished(() => redis.disconnect());
  const client = redis.adapter.port;
  await client.connect({ timeout: '10s' });

  let written = 0;
  const over = new AbortController();
  const failures: string[] = [];
  const writers = Array.from({ length: WRITERS }, async () => {
    while (!over.signal.aborted) {
      await client.command('INCR', [KEY]).then(
        () => (written += 1),
        (error: Error) => failures.push(error.message),
      );
      // Not all of them with the same answer, or none would be on its way while the table of slots is read.
      await sleep(Math.random() * 3);
    }
  });
  try {
    for (let round = 0; round < ROUNDS; round += 1) await handOver(cluster);
  } finally {
    over.abort();
  }
  await Promise.all(writers);

  expect([...new Set(failures)]).toEqual([]);
  expect(written).toBeGreaterThan(0);
}, 120_000);
