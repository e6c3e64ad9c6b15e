/** Rows 17 to 20: a master of a Cluster dies or freezes, slots move, slots are missing. */
import { startCluster, type ClusterTopology, type RedisProcess } from '../topology/index.js';
import { faultRow, type FaultRow, type FaultRun, type Stage } from './fault-row.js';
import { PLANTED_PASSWORD } from './planted-secrets.js';
import { READ_KEYS } from './steady-load.js';

interface ClusterStage extends Stage {
  readonly topology: ClusterTopology;
}

const FOLLOW_MS = 1_000;
const ELECTION_MS = 20_000;

async function clusterStage(): Promise<ClusterStage> {
  const topology = await startCluster({ password: PLANTED_PASSWORD, keepData: true });
  return {
    topology,
    target: {
      kind: 'cluster',
      nodes: topology.nodes.slice(0, 3).map(({ host, port }) => ({ host, port })),
      password: PLANTED_PASSWORD,
    },
    servers: topology.nodes,
    stop: () => topology.stop(),
  };
}

/** Waits until a replica of the lost master says that it is master now. */
async function elected(replicas: readonly RedisProcess[], run: FaultRun): Promise<void> {
  const from = performance.now();
  while (performance.now() - from < ELECTION_MS) {
    const roles = await Promise.all(
      replicas.map(async (replica) => (await replica.info('replication'))['role']),
    );
    if (roles.includes('master')) {
      run.markRecovery();
      run.fact('elected after ms', Math.round(performance.now() - from));
      return;
    }
    await run.wait(10);
  }
  throw new Error('no replica became master');
}

const lostMaster = (row: string, how: 'kill' | 'freeze') =>
  faultRow<ClusterStage & { lost?: RedisProcess }>({
    row,
    title: `Cluster: a master ${how === 'kill' ? 'killed' : 'frozen'}`,
    fault: [1_800, 3_000],
    after: [1_000, 2_000],
    mayLose: true,
    recoverWithin: FOLLOW_MS,
    prepare: clusterStage,
    inject: async (stage, run) => {
      const master = await stage.topology.ownerOf(0);
      const replicas = await stage.topology.replicasOf(master);
      stage.lost = master;
      await master[how]();
      await elected(replicas, run);
    },
    heal: async (stage) => {
      if (how === 'freeze') await stage.lost?.thaw();
    },
  });

const reshard = faultRow<ClusterStage>({
  row: '19',
  title: 'Cluster: live reshard (SETSLOT + MIGRATE) of every slot that is read',
  fault: [0, 0],
  after: [500, 1_000],
  maxFailed: 0,
  prepare: clusterStage,
  inject: async ({ topology }, run) => {
    const [asked] = topology.nodes;
    const slots = new Set<number>();
    for (const key of READ_KEYS) slots.add(Number(await asked?.admin('CLUSTER', 'KEYSLOT', key)));
    const chosen = [...slots].slice(0, run.ms(8, slots.size));
    for (const slot of chosen) await moveSlowly(topology, slot, run);
    run.fact('slots moved', chosen.length);
  },
});

/** With one part of the keys here and the other there for a while: that is where ASK and TRYAGAIN come from. */
async function moveSlowly(topology: ClusterTopology, slot: number, run: FaultRun): Promise<void> {
  const owner = await topology.ownerOf(slot);
  const to = (await topology.masters()).find((node) => node !== owner);
  if (to === undefined) throw new Error('a cluster of one master');
  const move = await topology.beginMove(slot, to);
  await run.wait(20 + run.random() * 60);
  await move.migrateKeys(8);
  await run.wait(60 + run.random() * 60);
  await move.finish();
}

const missingSlot = faultRow<ClusterStage>({
  row: '20',
  title: 'Cluster: CLUSTERDOWN, a slot without an owner',
  fault: [800, 2_000],
  after: [2_500, 4_000],
  prepare: clusterStage,
  inject: async ({ topology }, run) => {
    await Promise.all((await topology.masters()).map((node) => node.admin('CLUSTER', 'DELSLOTS', 0)));
    await run.issue('crossslot', () =>
      run.subject.command('EVAL', ["return redis.call('GET', KEYS[1])", '2', 'read:1', 'read:2']),
    );
  },
  heal: async ({ topology }) => {
    const [first] = await topology.masters();
    await first?.admin('CLUSTER', 'ADDSLOTS', 0);
    await first?.admin('CLUSTER', 'BUMPEPOCH');
    await topology.settled();
  },
  judge: ({ codes }) =>
    (codes['REDIS_REPLY:CROSSSLOT'] ?? 0) === 1 ? [] : ['a script over two slots did not say CROSSSLOT'],
});

export const clusterRows: readonly FaultRow[] = [
  lostMaster('17', 'kill'),
  lostMaster('18', 'freeze'),
  reshard,
  missingSlot,
];
