/** Several processes and one clean-up: one run at a time, and one that was killed is made up for by the next. */
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { createRedis, type Redis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import type { CleanupReport } from '@anbar/nestjs-redis/cleanup';
import { startStandalone, until, type Standalone } from '../topology/index.js';
import { CleaningProcess } from './cleaning-process.js';
import { expected, look, plant, type Planted } from './planted-keys.js';

const SEED = 20_261_121;
/** Long enough for the lock of a run that was killed to be awaited, and to outlast a busy machine. */
const LOCK_TTL = '3s';

/** Processes take their time to begin where many of them do. */
const BUSY_MS = 90_000;

let server: Standalone;
let redis: Redis;
let planted: Planted;
let before: ReadonlyMap<string, string>;

beforeAll(async () => {
  server = await startStandalone();
});
afterAll(() => server.stop());

beforeEach(async () => {
  await server.process.admin('FLUSHALL');
  redis = createRedis(options(1_000_000), {});
  onTestFinished(() => redis.disconnect());
  await redis.connect();
  const client = redis.adapter.port;
  planted = await plant(client, 'app', { rounds: 3, seed: SEED });
  before = await look(client, planted.fates.keys());
});

/** So slow that a run lasts two seconds at least, also where processes have to wait for a processor. */
function options(budgetPerSecond = 150): RedisModuleOptions {
  const cleanup = { budgetPerSecond, maxLatency: '5s', progressEvery: '1ms', every: '1h' } as const;
  return { url: server.url, namespace: 'app', timeout: '5s', lock: { ttl: LOCK_TTL }, cleanup };
}

async function fleet(count: number): Promise<readonly CleaningProcess[]> {
  const processes = Array.from({ length: count }, () => new CleaningProcess());
  onTestFinished(async () => {
    await Promise.all(processes.map((each) => each.kill()));
  });
  await Promise.all(processes.map(({ ready }) => ready));
  return processes;
}

async function runs(
  processes: readonly CleaningProcess[],
  ifDue: boolean,
): Promise<readonly CleanupReport[]> {
  const heard = processes.map((each) => each.hear('done'));
  for (const each of processes) each.start({ options: options(), ifDue });
  return (await Promise.all(heard)).map(({ report }) => report);
}

it(
  'of two processes that begin at once one does it, the other says so, and after it none is due',
  async () => {
    const processes = await fleet(2);
    const reports = await runs(processes, false);
    expect(reports.map(({ outcome }) => outcome).toSorted()).toEqual(['lock_held', 'ok']);
    const [idle, busy] = reports.toSorted((a, b) => a.scanned - b.scanned);
    expect(idle).toMatchObject({ outcome: 'lock_held', scanned: 0, removed: {}, expiring: {}, nodes: [] });
    expect(busy).toMatchObject({ outcome: 'ok', removed: planted.removed, expiring: planted.expiring });
    expect(await look(redis.adapter.port, planted.fates.keys())).toEqual(expected(planted, before));
    expect((await runs(processes, true)).map(({ outcome }) => outcome)).toEqual(['recent', 'recent']);
  },
  BUSY_MS,
);

it(
  'a run that is killed half way is completed by the next one',
  async () => {
    const [victim] = await fleet(1);
    if (victim === undefined) throw new Error('no process');
    const begun = removing(victim);
    victim.start({ options: options(), ifDue: true });
    await begun;
    await victim.kill();
    const halfWay = await look(redis.adapter.port, planted.fates.keys());
    const after = expected(planted, before);
    expect(halfWay).not.toEqual(before);
    expect(halfWay).not.toEqual(after);

    // It can not say that it is gone: its lock has to run out.
    expect((await redis.cleanup.runIfDue()).outcome).toBe('lock_held');
    const report = await until(
      async () => {
        const next = await redis.cleanup.runIfDue();
        return next.outcome === 'ok' && next;
      },
      { what: 'the lock of the killed process to run out', every: 100, timeout: 40_000 },
    );
    expect(await look(redis.adapter.port, planted.fates.keys())).toEqual(after);
    const left = [...halfWay].filter(([key, was]) => was !== after.get(key)).length;
    expect(left).toBeGreaterThan(0);
    expect(sum(report.removed)).toBe(countOf(halfWay, after, 'absent'));
  },
  BUSY_MS,
);

async function removing(process: CleaningProcess): Promise<void> {
  while (!hasRemoved((await process.hear('progress')).progress));
}

function hasRemoved({ removed }: { removed: Readonly<Record<string, number>> }): boolean {
  return sum(removed) > 0;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, count) => all + count, 0);
}

function countOf(from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>, state: string): number {
  return [...to].filter(([key, now]) => now === state && from.get(key) !== state).length;
}
