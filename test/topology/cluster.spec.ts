import { afterAll, beforeAll, expect, it } from 'vitest';
import { admin, infoFields } from './admin.js';
import { startCluster, type ClusterTopology } from './cluster.js';

/** Slots of the keys `foo` and `{foo}…`. */
const FOO = 12_182;

let cluster: ClusterTopology;

beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

it('serves every slot from three masters with a replica each', async () => {
  for (const node of cluster.nodes) {
    const info = infoFields(await admin(node.port, 'CLUSTER', 'INFO'));
    expect(info).toMatchObject({ cluster_state: 'ok', cluster_slots_ok: '16384', cluster_known_nodes: '6' });
  }
  const masters = await cluster.masters();
  expect(masters).toHaveLength(3);
  for (const master of masters) expect(await cluster.replicasOf(master)).toHaveLength(1);
  const other = masters.find((node) => node !== masters[0]);
  await expect(other?.admin('GET', await keyOf(masters[0]?.port))).rejects.toThrow('MOVED');
});

it('moves a slot with its keys', async () => {
  const from = await cluster.ownerOf(FOO);
  const to = (await cluster.masters()).find((node) => node !== from);
  if (to === undefined) throw new Error('a cluster has several masters');
  for (let index = 0; index < 250; index += 1) await from.admin('SET', `{foo}${index}`, index);
  const move = await cluster.beginMove(FOO, to);
  await move.migrateKeys(10);
  await expect(from.admin('GET', '{foo}none')).rejects.toThrow(`ASK ${FOO} 127.0.0.1:${to.port}`);
  await expect(to.admin('GET', '{foo}1')).rejects.toThrow('MOVED');
  await move.finish();
  expect(await cluster.ownerOf(FOO)).toBe(to);
  expect(await to.admin('CLUSTER', 'COUNTKEYSINSLOT', FOO)).toBe(250);
  await cluster.moveSlot(FOO, from);
  expect(await from.admin('GET', '{foo}249')).toBe('249');
});

it('fails over when a master dies', async () => {
  const victim = await cluster.ownerOf(FOO);
  const [replica] = await cluster.replicasOf(victim);
  await victim.admin('SET', 'foo', 'kept');
  expect(await victim.admin('WAIT', 1, 2000)).toBe(1);
  await victim.kill();
  await cluster.settled(victim);
  expect(await cluster.ownerOf(FOO)).toBe(replica);
  expect(await replica?.admin('GET', 'foo')).toBe('kept');
  await victim.restart('empty');
  await cluster.settled();
  expect(await cluster.masters()).toHaveLength(3);
});

async function keyOf(port: number | undefined): Promise<string> {
  for (let index = 0; ; index += 1) {
    const key = `k${index}`;
    const owner = await cluster.ownerOf(Number(await cluster.nodes[0]?.admin('CLUSTER', 'KEYSLOT', key)));
    if (owner.port === port) return key;
  }
}
