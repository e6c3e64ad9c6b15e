/** `readFrom`: which servers see reads and writes, by their own counters. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, type RedisAdapter, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { admin, infoFields, shared, until } from '../topology/index.js';

/** Commands nobody else uses on the shared servers. */
const READ = 'GETBIT';
const WRITE = 'SETBIT';
const CALLS = 60;

function open(options: RedisModuleOptions): RedisAdapter {
  const redis = createRedis({ ...options, timeout: '5s', connectTimeout: '10s' }, {});
  onTestFinished(() => redis.disconnect());
  return redis.adapter;
}

interface Count {
  readonly primary: number;
  readonly replica: number;
}

/** How often the servers ran a command, by their role. */
async function count(ports: readonly number[], command: string): Promise<Count> {
  const counted = { primary: 0, replica: 0 };
  for (const port of ports) {
    const { role } = infoFields(await admin(port, 'INFO', 'replication'));
    const stats = infoFields(await admin(port, 'INFO', 'commandstats'));
    const calls = Number(/calls=(\d+)/u.exec(stats[`cmdstat_${command.toLowerCase()}`] ?? '')?.[1] ?? 0);
    counted[role === 'master' ? 'primary' : 'replica'] += calls;
  }
  return counted;
}

async function callsDuring(ports: readonly number[], command: string, work: () => Promise<unknown>) {
  const before = await count(ports, command);
  await work();
  const after = await count(ports, command);
  return { primary: after.primary - before.primary, replica: after.replica - before.replica };
}

/** A young cluster gossips for a while before each node lists the replicas of each slot. */
async function everyNodeKnowsReplicas(ports: readonly number[]): Promise<boolean> {
  const replies = await Promise.all(ports.map((port) => admin(port, 'CLUSTER', 'SLOTS')));
  return replies.flat().every((range) => Array.isArray(range) && range.length >= 4);
}

const many = (call: (i: number) => Promise<unknown>): Promise<unknown> =>
  Promise.all(Array.from({ length: CALLS }, (_, i) => call(i)));

const PLACES = {
  sentinel: async () => {
    const { name, sentinels, servers } = await shared('sentinel');
    return { ports: servers.map(({ port }) => port), options: { sentinel: { name, nodes: sentinels } } };
  },
  cluster: async () => {
    const { nodes } = await shared('cluster');
    const ports = nodes.map(({ port }) => port);
    await until(() => everyNodeKnowsReplicas(ports), {
      what: 'every node to know of the replicas',
      timeout: 20_000,
    });
    return { ports, options: { cluster: { nodes } } };
  },
};

describe.each(['sentinel', 'cluster'] as const)('readFrom with a %s', (place) => {
  it.each(['replica', 'preferReplica'] as const)(
    '%s reads from replicas and writes to primaries',
    async (from) => {
      const { ports, options } = await PLACES[place]();
      const adapter = open({ ...options, readFrom: from });
      await adapter.connect();
      const replicasReady = () =>
        adapter.status().nodes.filter(({ role, state }) => role === 'replica' && state === 'ready').length >
        0;
      await until(replicasReady, { what: 'a replica to be connected' });
      if (place === 'cluster') {
        const all = () => adapter.status().nodes.every(({ state }) => state === 'ready');
        await until(all, { what: 'every node to be connected' });
      }
      const reads = await callsDuring(ports, READ, () => many((i) => adapter.command(READ, [`bit:${i}`, 1])));
      expect(reads).toEqual({ primary: 0, replica: CALLS });
      const writes = await callsDuring(ports, WRITE, () =>
        many((i) => adapter.command(WRITE, [`bit:${i}`, 1, 1])),
      );
      expect(writes.primary).toBe(CALLS);
      const scan = await callsDuring(ports, 'SCAN', async () => {
        for await (const keys of adapter.scan({ match: 'bit:none' })) expect(keys).toEqual([]);
      });
      expect(scan.primary).toBeGreaterThan(0);
      await until(async () => (await adapter.command(READ, ['bit:1', 1])) === 1, {
        what: 'the write to be replicated',
      });
    },
  );

  it('primary, the default, leaves replicas alone', async () => {
    const { ports, options } = await PLACES[place]();
    const adapter = open(options);
    await adapter.connect();
    const reads = await callsDuring(ports, READ, () => many((i) => adapter.command(READ, [`bit:${i}`, 1])));
    expect(reads).toEqual({ primary: CALLS, replica: 0 });
    expect(adapter.status().nodes.every(({ role }) => role === 'primary')).toBe(true);
  });
});
