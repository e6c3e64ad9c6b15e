/** The servers of the long hunt, its own, and what may happen to them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisModuleOptions } from '@anbar/nestjs-redis';
import {
  admin,
  startCluster,
  startSentinel,
  startStandalone,
  type ClusterTopology,
  type SentinelTopology,
} from '../topology/index.js';

export type PlaceName = (typeof PLACE_NAMES)[number];
export const PLACE_NAMES = ['standalone', 'sentinel', 'cluster'] as const;

export interface Place {
  readonly options: RedisModuleOptions;
  /** Something happens to it until the signal says so. @returns how often it did */
  readonly disturb: (until: AbortSignal) => Promise<number>;
  stop(): Promise<void>;
}

const CUT_EVERY_MS = 400;
const FAILOVER_EVERY_MS = 3_000;
/** Where no failover is ordered none is wanted: on a busy machine a living primary is silent for a second. */
const PATIENT_MS = 60_000;
const ALERT_MS = 1_000;

export function startPlace(name: PlaceName): Promise<Place> {
  switch (name) {
    case 'standalone':
      return standalone();
    case 'sentinel':
      return sentinel();
    case 'cluster':
      return cluster();
  }
}

async function standalone(): Promise<Place> {
  const server = await startStandalone();
  return {
    options: { url: server.url },
    disturb: (until) =>
      repeat(until, CUT_EVERY_MS, async () => {
        await admin(server.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
      }),
    stop: () => server.stop(),
  };
}

async function sentinel(): Promise<Place> {
  const topology = await startSentinel({ keepData: true, downAfter: PATIENT_MS });
  const watch = (downAfter: number) =>
    Promise.all(
      topology.processes.sentinels.map((each) =>
        each.admin('SENTINEL', 'SET', topology.name, 'down-after-milliseconds', String(downAfter)),
      ),
    );
  return {
    options: { sentinel: { name: topology.name, nodes: topology.sentinels } },
    disturb: async (until) => {
      await watch(ALERT_MS);
      const turns = await repeat(until, FAILOVER_EVERY_MS, (turn) => failOverSentinel(topology, turn));
      await watch(PATIENT_MS);
      return turns;
    },
    stop: () => topology.stop(),
  };
}

async function cluster(): Promise<Place> {
  const topology = await startCluster({ keepData: true });
  const nodes = topology.nodes.slice(0, 2).map(({ host, port }) => ({ host, port }));
  return {
    options: { cluster: { nodes } },
    disturb: (until) => repeat(until, FAILOVER_EVERY_MS, (turn) => failOverCluster(topology, turn)),
    stop: () => topology.stop(),
  };
}

/** In turns as an operator does it, and as a machine does that dies and comes back. */
async function failOverSentinel(topology: SentinelTopology, turn: number): Promise<void> {
  if (turn % 2 === 0) {
    await topology.failover();
    return;
  }
  const old = await topology.primary();
  await old.kill();
  await topology.settled(old);
  await old.restart('keepData');
  await topology.settled();
}

async function failOverCluster(topology: ClusterTopology, turn: number): Promise<void> {
  const masters = await topology.masters();
  const master = masters[turn % masters.length];
  if (master === undefined) throw new Error('The cluster has no master');
  if (turn % 2 === 0) {
    const [replica] = await topology.replicasOf(master);
    await replica?.admin('CLUSTER', 'FAILOVER');
    await topology.settled();
    return;
  }
  await master.kill();
  await topology.settled(master);
  await master.restart('keepData');
  await topology.settled();
}

async function repeat(
  until: AbortSignal,
  everyMs: number,
  work: (turn: number) => Promise<void>,
): Promise<number> {
  let turns = 0;
  while (!until.aborted) {
    await sleep(everyMs);
    await work(turns);
    turns += 1;
  }
  return turns;
}
