/** Locks while Sentinel replaces the primary: who holds one keeps it or is told, and fences only grow. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRedis, type Redis } from '@anbar/nestjs-redis';
import type { LockService } from '@anbar/nestjs-redis/lock';
import { startSentinel, until, type SentinelTopology } from '../topology/index.js';

const FAILOVERS = Number(process.env['FAILOVERS'] ?? 1);
const CONTENDERS = 3;
const LIMITS = { timeout: 60_000 * (FAILOVERS + 1) };

interface Hold {
  readonly fence: number;
  readonly by: number;
  readonly from: number;
  /** When the holder still thought that the lock was its own. */
  readonly to: number;
}

let topology: SentinelTopology;
let clients: readonly Redis[] = [];

beforeAll(async () => {
  topology = await startSentinel({ keepData: true });
  const { sentinels: nodes, name } = topology;
  const options = { topology: 'sentinel', sentinel: { name, nodes }, timeout: '1s' } as const;
  clients = Array.from({ length: CONTENDERS }, () => createRedis(options, {}));
  await Promise.all(clients.map((client) => client.connect()));
}, 90_000);

afterAll(async () => {
  await Promise.all(clients.map((client) => client.disconnect()));
  await topology.stop();
});

/** Takes the lock again and again, as a worker does; what it can not get it tries again. */
async function contend(locks: LockService, by: number, signal: AbortSignal): Promise<Hold[]> {
  const holds: Hold[] = [];
  while (!signal.aborted) {
    const lock = await locks.acquire('job', { ttl: '2s', wait: '1s' }).catch(() => undefined);
    if (lock === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      continue;
    }
    const from = performance.now();
    while (!lock.signal.aborted && performance.now() - from < 30)
      await new Promise((resolve) => setTimeout(resolve, 2));
    holds.push({ fence: lock.fence, by, from, to: performance.now() });
    await lock.release().catch(() => undefined);
  }
  return holds;
}

it(
  `through ${FAILOVERS} killed primaries: work goes on, no fence is given twice, each is newer than the last`,
  LIMITS,
  async () => {
    const ending = new AbortController();
    const working = Promise.all(clients.map(({ locks }, by) => contend(locks, by, ending.signal)));
    const killed: number[] = [];
    for (let round = 0; round < FAILOVERS; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const primary = await topology.primary();
      killed.push(performance.now());
      await primary.kill();
      await topology.settled(primary);
      await primary.restart('keepData');
    }
    // Somebody holds it again, on the new primary.
    const locks = clients[0]?.locks;
    await until(
      async () => {
        const lock = await locks?.acquire('after', { wait: '200ms' }).catch(() => undefined);
        await lock?.release().catch(() => undefined);
        return lock !== undefined;
      },
      { what: 'a lock after the failover', timeout: 20_000 },
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    ending.abort();
    const holds = (await working).flat().toSorted((one, other) => one.from - other.from);
    const fences = holds.map(({ fence }) => fence);
    const after = holds.filter(({ from }) => from > (killed.at(-1) ?? 0));
    const pause = Math.min(...after.map(({ from }) => from)) - (killed.at(-1) ?? 0);
    const overlapping = holds.filter(
      (hold, i) => i > 0 && hold.from < Math.max(...holds.slice(0, i).map(({ to }) => to)),
    );
    console.log(
      `${holds.length} holds, ${after.length} after the last kill (the first ${Math.round(pause)} ms later), ` +
        `${overlapping.length} begun while another one still believed in its own`,
    );
    expect(new Set(fences).size).toBe(fences.length);
    expect(fences).toEqual(fences.toSorted((one, other) => one - other));
    expect(after.length).toBeGreaterThan(0);
  },
);
