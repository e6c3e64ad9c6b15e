/**
 * Redis killed, frozen and flapping, while 32 connections ask limited routes of two processes: what the outage costs
 * them, how much is let through meanwhile, and that all of it ends by itself. RATE_LIMIT_OUTAGE_SECONDS makes each
 * outage longer.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import type { RateLimiterStats } from '@anbar/nestjs-redis';
import {
  startFaultProxy,
  startStandalone,
  until,
  type FaultProxy,
  type Standalone,
} from '../topology/index.js';
import { HttpLoad, latencyOf, type Asked } from './http-load.js';
import { OUTAGE_LIMIT, type RouteSettings, type RouteWord } from './route-words.js';

const SERVER = fileURLToPath(new URL('route.mjs', import.meta.url));
const PROCESSES = 2;
const OUTAGE_MS = Number(process.env['RATE_LIMIT_OUTAGE_SECONDS'] ?? 1.5) * 1_000;
const QUIET_MS = 600;
/** How long a call of the client may take, where nothing else is said. */
const DEADLINE_MS = 250;
/** Within this time the loss is known, and nobody waits for Redis any more but to see whether it is back. */
const NOTICE_MS = 2 * DEADLINE_MS;
const FLAP_MS = 120;
/** Of each process: 16 connections, most of them on the limit that is felt. */
const PATHS = [
  ...Array<string>(8).fill('/local'),
  ...Array<string>(4).fill('/open'),
  ...Array<string>(4).fill('/closed'),
];

const EXPECTED: Readonly<Record<string, readonly number[]>> = {
  '/local': [200, 429],
  '/open': [200],
  '/closed': [200, 503],
};

interface Stage {
  readonly server: Standalone;
  readonly proxy: FaultProxy;
}

/** How Redis goes away; what it returns brings it back. */
type Outage = (stage: Stage) => Promise<() => Promise<void>>;

const OUTAGES: Readonly<Record<string, Outage>> = {
  killed: async ({ server }) => {
    await server.process.kill();
    return () => server.process.restart('empty');
  },
  frozen: async ({ server }) => {
    await server.process.freeze();
    return () => server.process.thaw();
  },
  flapping: ({ proxy }) => {
    const flapping = new AbortController();
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, FLAP_MS));
    const flaps = (async () => {
      while (!flapping.signal.aborted) {
        await proxy.refuse();
        proxy.rst();
        await pause();
        await proxy.pass();
        await pause();
      }
    })();
    return Promise.resolve(async () => {
      flapping.abort();
      await flaps;
      await proxy.pass();
    });
  },
};

async function hear<Kind extends RouteWord['kind']>(
  child: ChildProcess,
  kind: Kind,
): Promise<Extract<RouteWord, { kind: Kind }>> {
  const [word] = (await once(child, 'message')) as [RouteWord];
  if (word.kind !== kind) throw new Error(`the process said ${word.kind}`);
  return word as Extract<RouteWord, { kind: Kind }>;
}

async function startRoutes(settings: RouteSettings) {
  const child = fork(SERVER, [JSON.stringify(settings)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const { port } = await hear(child, 'listening');
  const stats = async (): Promise<RateLimiterStats> => {
    child.send('stats');
    return (await hear(child, 'stats')).stats;
  };
  return { port, stats };
}

type Routes = Awaited<ReturnType<typeof startRoutes>>;

async function sumOf(routes: readonly Routes[], field: (stats: RateLimiterStats) => number): Promise<number> {
  const all = await Promise.all(routes.map(({ stats }) => stats()));
  return all.reduce((sum, stats) => sum + field(stats), 0);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What the limit admits in that time at most, when so many processes count it, each by itself. */
function boundOf(processes: number, ms: number): number {
  return processes * (OUTAGE_LIMIT.limit + Math.ceil((ms * OUTAGE_LIMIT.limit) / 1_000));
}

function allowed(asked: readonly Asked[], path: string): number {
  return asked.filter((each) => each.path === path && each.status === 200).length;
}

async function endure(outage: Outage, replicas: number) {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const proxy = await startFaultProxy({ to: { port: server.port } });
  onTestFinished(() => proxy.stop());
  const settings = { url: `redis://127.0.0.1:${proxy.port}`, replicas };
  const routes = await Promise.all(Array.from({ length: PROCESSES }, () => startRoutes(settings)));
  const urls = routes.flatMap(({ port }) => PATHS.map((path) => `http://127.0.0.1:${port}${path}`));
  const load = new HttpLoad(urls);
  await sleep(QUIET_MS);

  const lostAt = performance.now();
  const bringBack = await outage({ server, proxy });
  await sleep(OUTAGE_MS);
  const backAt = performance.now();
  await bringBack();
  const decidedByStore = await sumOf(routes, ({ bySource }) => bySource.store);
  await until(async () => (await sumOf(routes, ({ bySource }) => bySource.store)) > decidedByStore + 50, {
    what: 'Redis to decide again',
    timeout: 20_000,
  });
  const allIsWellAt = performance.now();
  await sleep(QUIET_MS);
  await load.stop();
  const during = (from: number, to: number): Asked[] => load.asked.filter(({ at }) => at >= from && at < to);
  return {
    all: load.asked,
    before: during(0, lostAt - DEADLINE_MS),
    noticing: during(lostAt - DEADLINE_MS, lostAt + NOTICE_MS),
    // Whoever asks just before the end may be answered after it.
    away: during(lostAt + NOTICE_MS, backAt - DEADLINE_MS),
    after: during(allIsWellAt, Infinity),
    withoutStore: await sumOf(routes, ({ allowedWithoutStore }) => allowedWithoutStore),
    elapsedMs: performance.now() - lostAt,
    wholeMs: performance.now() - (load.asked[0]?.at ?? 0),
  };
}

it.each([
  { name: 'killed', replicas: 1 },
  { name: 'frozen', replicas: PROCESSES },
  { name: 'flapping', replicas: PROCESSES },
])(
  '$name, with replicas $replicas: costs a deadline once, lets through no more than it may, and ends by itself',
  async ({ name, replicas }) => {
    const run = await endure(OUTAGES[name] ?? expect.unreachable(name), replicas);
    const ms = (asked: readonly Asked[]): string => {
      const { count, p50, p99, max } = latencyOf(asked);
      return `${count} requests, p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, longest ${max.toFixed(1)} ms`;
    };
    // What Redis admits, and what the processes do while it is away: each of them the limit, or together once.
    const alone = replicas === 1 ? boundOf(PROCESSES, run.elapsedMs) : boundOf(1, run.elapsedMs) + PROCESSES;
    const bound = boundOf(1, run.wholeMs) + alone;
    console.log(
      `${name}\n  before: ${ms(run.before)}\n  noticing: ${ms(run.noticing)}\n  away: ${ms(run.away)}\n  after: ${ms(run.after)}` +
        `\n  let through by '/local': ${allowed(run.all, '/local')} of at most ${bound}, without Redis ${run.withoutStore}`,
    );

    // Nobody is left without an answer, and nobody gets one that a Redis that is away is no reason for.
    const odd = run.all.filter(({ path, status }) => !EXPECTED[path]?.includes(status));
    expect(odd).toEqual([]);
    for (const { status, type, retryAfter } of run.all.filter((each) => each.status === 503)) {
      expect([status, type.split(';')[0], retryAfter]).toEqual([503, 'application/problem+json', '1']);
    }
    const refused = run.away.filter(({ path, status }) => path === '/closed' && status === 503);
    expect(refused.length).toBeGreaterThan(0);
    if (name !== 'flapping') expect(allowed(run.away, '/closed')).toBe(0);
    expect(allowed(run.after, '/closed')).toBeGreaterThan(0);

    expect(allowed(run.all, '/local')).toBeLessThanOrEqual(bound);
    // It is told: what '/open' and '/local' let through without Redis.
    expect(run.withoutStore).toBeGreaterThan(0);
    expect(run.withoutStore).toBeLessThanOrEqual(allowed(run.all, '/local') + allowed(run.all, '/open'));

    expect(latencyOf(run.noticing).max).toBeLessThan(2 * DEADLINE_MS + latencyOf(run.before).max);
    // Half of a deadline is what a machine with other things to do adds; who waits for Redis waits for a whole one.
    const calm = latencyOf(run.before).p99 + DEADLINE_MS / 2;
    expect(latencyOf(run.away).p99).toBeLessThan(calm);
    expect(latencyOf(run.after).p99).toBeLessThan(calm);
  },
  120_000 + 2 * OUTAGE_MS,
);
