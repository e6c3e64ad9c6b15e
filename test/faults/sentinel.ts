/** Rows 14 to 16: a primary behind sentinels dies, freezes, is replaced by order, or is found to be a replica. */
import { startSentinel, type RedisProcess, type SentinelTopology } from '../topology/index.js';
import { faultRow, type FaultRow, type FaultRun, type Stage } from './fault-row.js';
import { PLANTED_PASSWORD } from './planted-secrets.js';
import { CONSENT_MS } from './server-errors.js';
import { serverStage } from './stages.js';

interface SentinelStage extends Stage {
  readonly topology: SentinelTopology;
  old: RedisProcess | undefined;
}

/** Asked to follow within this time once the sentinels have elected. */
const FOLLOW_MS = 1_000;
const ELECTION_MS = 20_000;

async function sentinelStage(): Promise<SentinelStage> {
  const topology = await startSentinel({ password: PLANTED_PASSWORD, keepData: true });
  return {
    topology,
    old: undefined,
    target: {
      kind: 'sentinel',
      name: topology.name,
      nodes: topology.sentinels,
      password: PLANTED_PASSWORD,
    },
    servers: topology.processes.servers,
    stop: () => topology.stop(),
  };
}

/** Waits until the first sentinel names another primary: that is the moment it was elected. */
async function elected({ topology, old }: SentinelStage, run: FaultRun): Promise<void> {
  const from = performance.now();
  while (performance.now() - from < ELECTION_MS) {
    const named = await Promise.all(
      topology.processes.sentinels.map((sentinel) =>
        sentinel.admin('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', topology.name).catch(() => null),
      ),
    );
    if (named.some((reply) => Array.isArray(reply) && Number(reply[1]) !== old?.port)) {
      run.markRecovery();
      run.fact('elected after ms', Math.round(performance.now() - from));
      return;
    }
    await run.wait(10);
  }
  throw new Error('the sentinels elected nobody');
}

/** The old primary must be back and in order before counters are read from whoever is primary then. */
async function rejoin(stage: SentinelStage): Promise<void> {
  const { old } = stage;
  if (old === undefined) return;
  if (old.alive) await old.thaw();
  else await old.restart('keepData');
}

const failover = {
  after: [2_500, 5_000] as const,
  mayLose: true,
  recoverWithin: FOLLOW_MS,
  prepare: sentinelStage,
};

const killed = faultRow<SentinelStage>({
  ...failover,
  row: '14',
  title: 'Sentinel: primary killed',
  fault: [0, 0],
  inject: async (stage, run) => {
    stage.old = await stage.topology.primary();
    await stage.old.kill();
    await elected(stage, run);
  },
  rivals: ['stock', 'stock+failoverDetector'],
});

const frozen = faultRow<SentinelStage>({
  ...failover,
  row: '15',
  title: 'Sentinel: primary frozen',
  fault: [1_500, 3_000],
  inject: async (stage, run) => {
    stage.old = await stage.topology.primary();
    await stage.old.freeze();
    await elected(stage, run);
  },
  heal: rejoin,
  rivals: ['stock', 'stock+failoverDetector'],
});

const returned = faultRow<SentinelStage>({
  ...failover,
  row: '16',
  title: 'Sentinel: primary killed, and the old one comes back as a primary',
  fault: [0, 0],
  inject: async (stage, run) => {
    stage.old = await stage.topology.primary();
    await stage.old.kill();
    await elected(stage, run);
    await run.wait(run.ms(600, 1_500));
  },
  heal: rejoin,
});

const planned = faultRow<SentinelStage>({
  ...failover,
  row: '16b',
  title: 'Sentinel: planned SENTINEL FAILOVER under load',
  fault: [0, 0],
  inject: async (stage, run) => {
    stage.old = await stage.topology.primary();
    const [sentinel] = stage.topology.processes.sentinels;
    await sentinel?.admin('SENTINEL', 'FAILOVER', stage.topology.name);
    await elected(stage, run);
  },
  rivals: ['stock', 'stock+failoverDetector'],
});

const demoted = faultRow({
  row: '16c',
  title: 'READONLY: the server is a replica for a while',
  fault: [500, 1_500],
  after: [2_500, 5_000],
  recoverWithin: CONSENT_MS,
  prepare: () => serverStage(),
  inject: async ({ server }) => {
    await server.process.admin('REPLICAOF', '127.0.0.1', 1);
  },
  heal: async ({ server }) => {
    await server.process.admin('REPLICAOF', 'NO', 'ONE');
  },
});

export const sentinelRows: readonly FaultRow[] = [killed, frozen, returned, planned, demoted];
