import { afterAll, beforeAll, expect, it } from 'vitest';
import { admin } from './admin.js';
import { startSentinel, type SentinelTopology } from './sentinel.js';
import { until } from './until.js';

let set: SentinelTopology;

beforeAll(async () => {
  set = await startSentinel({ password: 'data', sentinelPassword: 'watch' });
});
afterAll(() => set.stop());

it('has a primary that all sentinels name, and two replicas in sync', async () => {
  const primary = await set.primary();
  for (const { port } of set.sentinels) {
    const named = await admin({ port, password: 'watch' }, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', set.name);
    expect(named).toEqual(['127.0.0.1', String(primary.port)]);
  }
  await admin({ port: primary.port, password: 'data' }, 'SET', 'k', 'v');
  expect(await primary.admin('WAIT', 2, 2000)).toBe(2);
  for (const replica of await set.replicas()) expect(await replica.admin('GET', 'k')).toBe('v');
});

it('fails over on order', async () => {
  const old = await set.primary();
  const next = await set.failover();
  expect(next).not.toBe(old);
  expect(await next.admin('SET', 'k', 'v2')).toBe('OK');
  await expect(old.admin('SET', 'k', 'v3')).rejects.toThrow('READONLY');
});

it('fails over by itself when the primary dies, and takes it back as a replica', async () => {
  const old = await set.primary();
  await old.kill();
  const next = await set.settled(old);
  expect(next).not.toBe(old);
  await old.restart('empty');
  await set.settled();
  const replicaOf = async () => (await old.info('replication'))['master_port'];
  expect(await until(replicaOf, { what: 'the old primary to follow' })).toBe(String(next.port));
});
