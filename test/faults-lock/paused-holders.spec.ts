/**
 * Several processes work under one lock, and each is stopped now and then for longer than the lock lives. No two
 * holds ever write with the same fence, nothing is written behind a newer fence, and whoever wakes up finds its
 * signal aborted. `HUNT_MS` makes it longer, `HUNT_SEED` repeats a run.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRedis } from '@anbar/nestjs-redis';
import { seededRandom, shared } from '../topology/index.js';
import { HolderProcess } from './holders.js';
import type { HoldPlan, HoldReport } from './orders.js';
import { judge, resourceKeys, type Verdict } from './resource.js';

const PROCESSES = 3;
const SEED = Number(process.env['HUNT_SEED'] ?? 20_261_121);
const HUNT_MS = Number(process.env['HUNT_MS'] ?? 2_000);
const TTL_MS = 200;

let fleet: readonly HolderProcess[] = [];
/** Who has said last that it has the lock. */
let holder: HolderProcess | undefined;

beforeAll(async () => {
  fleet = Array.from({ length: PROCESSES }, () => new HolderProcess());
  for (const each of fleet) {
    each.onHolding(() => {
      holder = each;
    });
  }
  await Promise.all(fleet.map(({ ready }) => ready));
}, 60_000);

afterAll(() => Promise.all(fleet.map((each) => each.kill())));

interface Hunted {
  readonly verdict: Verdict;
  readonly total: HoldReport;
  readonly stops: number;
}

async function hunt(plan: Pick<HoldPlan, 'order' | 'heedless' | 'lockless'>): Promise<Hunted> {
  const { url } = await shared('standalone');
  const key = randomBytes(6).toString('hex');
  const random = seededRandom(SEED);
  const over = new AbortController();
  const orders = { ...plan, url, key, ttlMs: TTL_MS, forMs: HUNT_MS };
  const reports = Promise.all(fleet.map((each) => each.hold(orders))).finally(() => over.abort());
  let stops = 0;
  while (!over.signal.aborted) {
    await sleep(20 + random() * 80);
    const victim = random() < 0.8 ? holder : fleet[Math.floor(random() * fleet.length)];
    victim?.stop();
    // Mostly longer than the lock lives, sometimes just about as long.
    await sleep(TTL_MS * (0.9 + random()));
    victim?.goOn();
    stops += 1;
  }
  const total = sum(await reports);
  const redis = createRedis({ url }, {});
  const log = await redis.adapter.command<readonly string[]>('LRANGE', [resourceKeys(key)[1], 0, -1]);
  await redis.disconnect();
  const verdict = judge(log);
  console.log(`seed ${SEED}, ${JSON.stringify(plan)}: ${JSON.stringify({ stops, ...verdict, ...total })}`);
  return { verdict, total, stops };
}

function sum(reports: readonly HoldReport[]): HoldReport {
  const add = (count: (report: HoldReport) => number): number =>
    reports.reduce((all, report) => all + count(report), 0);
  return {
    holds: add(({ holds }) => holds),
    lost: add(({ lost }) => lost),
    accepted: add(({ accepted }) => accepted),
    refused: add(({ refused }) => refused),
    wakes: add(({ wakes }) => wakes),
    unaware: add(({ unaware }) => unaware),
    slowestAbortMs: Math.max(...reports.map(({ slowestAbortMs }) => slowestAbortMs)),
    failures: reports.flatMap(({ failures }) => failures),
  };
}

const LIMITS = { timeout: HUNT_MS + 30_000 };

describe('holders that are stopped', LIMITS, () => {
  it('write with fences of their own, and know when they wake up that the lock is lost', async () => {
    const { verdict, total } = await hunt({ order: 'any', heedless: false, lockless: false });
    expect(verdict).toMatchObject({ shared: 0, backwards: 0 });
    expect(total).toMatchObject({ unaware: 0, failures: [] });
    expect(total.slowestAbortMs).toBeLessThan(100);
    // A hunt in which nothing happened proves nothing.
    expect(total.wakes).toBeGreaterThan(2);
    expect(verdict.fences).toBeGreaterThan(5);
  });

  it('are stopped by the resource when they look at no signal; in the order of arrival too', async () => {
    const { verdict, total } = await hunt({ order: 'fifo', heedless: true, lockless: false });
    expect(verdict).toMatchObject({ shared: 0, backwards: 0 });
    expect(total).toMatchObject({ unaware: 0, failures: [] });
    expect(total.refused).toBeGreaterThan(0);
    expect(verdict.fences).toBeGreaterThan(5);
  });
});

it('the hunt notices when nobody locks', LIMITS, async () => {
  const { verdict } = await hunt({ order: 'any', heedless: true, lockless: true });
  expect(verdict.shared).toBeGreaterThan(0);
});
