/**
 * Several processes read, load, store and invalidate the same keys at random, each over `createRedis`. Without
 * near cache a read that began after an invalidation was acknowledged never answers what was before it; with
 * one, no read that began 50 ms after it. A cache without its fence is caught.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RedisModuleOptions } from '@anbar/nestjs-redis';
import { admin, shared, startStandalone, type Standalone } from '../topology/index.js';
import { openFleet, startFleet, stopFleet, type Member } from './fleet.js';
import { judge, type Verdict } from './judge.js';
import type { HuntPlan, Mutation } from './orders.js';

interface Hunt {
  readonly options: RedisModuleOptions;
  readonly mutation?: Mutation;
  /** Happens beside it. */
  readonly meanwhile?: (until: AbortSignal) => Promise<void>;
}

const PROCESSES = 3;
const SEED = Number(process.env['HUNT_SEED'] ?? 20_261_120);
const HUNT_MS = Number(process.env['HUNT_MS'] ?? 4_000);
/** How long a process may still answer from its memory what another one has invalidated. */
const TOLERANCE_MS = 50;
const CUT_EVERY_MS = 400;

/** Few keys make races frequent; in a near cache, what goes wrong has to lie there for a while to be seen. */
const REMOTE = { keys: 12, pauseMs: 6 };
const NEAR = { keys: 48, pauseMs: 6 };

const PLACES: Readonly<Record<string, () => Promise<RedisModuleOptions>>> = {
  standalone: async () => ({ url: (await shared('standalone')).url }),
  cluster: async () => ({ cluster: { nodes: (await shared('cluster')).nodes.slice(0, 2) } }),
  sentinel: async () => {
    const { name, sentinels } = await shared('sentinel');
    return { sentinel: { name, nodes: sentinels } };
  },
};

let fleet: readonly Member[] = [];

beforeAll(async () => {
  fleet = await startFleet(PROCESSES);
}, 60_000);

afterAll(() => stopFleet(fleet));

async function hunt(what: string, { options, mutation, meanwhile }: Hunt): Promise<Verdict> {
  const near = options.cache?.l1 !== false;
  await openFleet(fleet, { options, cacheName: randomBytes(6).toString('hex'), lease: '2s' });
  for (const [index, member] of fleet.entries()) {
    const plan: HuntPlan = {
      ...(near ? NEAR : REMOTE),
      seed: SEED,
      index,
      processes: PROCESSES,
      forMs: HUNT_MS,
      mutation,
    };
    member.tell({ kind: 'hunt', plan });
  }
  const over = new AbortController();
  const beside = meanwhile?.(over.signal);
  const words = await Promise.all(fleet.map((member) => member.hear('hunted')));
  over.abort();
  await beside;
  const verdict = judge(
    words.map(({ report }) => report),
    near ? TOLERANCE_MS : 0,
  );
  console.log(`${what}, seed ${SEED}: ${JSON.stringify(verdict)}`);
  return verdict;
}

async function optionsFor(place: string, cache: RedisModuleOptions['cache']): Promise<RedisModuleOptions> {
  return { ...(await PLACES[place]?.()), cache: cache ?? {} };
}

/** A hunt in which nothing happened proves nothing. */
function expectLively(verdict: Verdict): void {
  expect(verdict.failures).toBe(0);
  expect(verdict.reads).toBeGreaterThan(2_000);
  expect(verdict.hits).toBeGreaterThan(500);
  expect(verdict.refusedFills).toBeGreaterThan(5);
}

describe.each(Object.keys(PLACES))('race hunt on %s', { timeout: HUNT_MS + 30_000 }, (place) => {
  it('nothing invalidated comes back', async () => {
    const options = await optionsFor(place, { l1: false });
    const verdict = await hunt(`${place}, no L1`, { options });
    expect(verdict.violations).toBe(0);
    expect(verdict.l1Hits).toBe(0);
    expectLively(verdict);
  });

  it(`with a near cache, nothing comes back after ${TOLERANCE_MS} ms`, async () => {
    const options = await optionsFor(place, undefined);
    const verdict = await hunt(`${place}, L1`, { options });
    expect(verdict.violations).toBe(0);
    expect(verdict.l1Hits).toBeGreaterThan(verdict.reads / 10);
    expectLively(verdict);
  });
});

describe('a near cache whose tracking is cut', { timeout: HUNT_MS + 30_000 }, () => {
  let server: Standalone;

  beforeAll(async () => {
    server = await startStandalone();
  });

  afterAll(() => server.stop());

  async function cutting(mutation?: Mutation): Promise<{ verdict: Verdict; cuts: number }> {
    let cuts = 0;
    const meanwhile = async (until: AbortSignal): Promise<void> => {
      while (!until.aborted) {
        await sleep(CUT_EVERY_MS);
        cuts += Number(await admin(server.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub'));
      }
    };
    const what = `cut every ${CUT_EVERY_MS} ms${mutation === undefined ? '' : `, ${mutation}`}`;
    const verdict = await hunt(what, {
      options: { url: server.url },
      ...(mutation === undefined ? {} : { mutation }),
      meanwhile,
    });
    return { verdict, cuts };
  }

  it(`nothing comes back after ${TOLERANCE_MS} ms`, async () => {
    const { verdict, cuts } = await cutting();
    expect(verdict.violations).toBe(0);
    expect(verdict.l1Hits).toBeGreaterThan(500);
    expect(cuts).toBeGreaterThan(PROCESSES);
  });

  it('catches one that does not mind', async () => {
    expect((await cutting('interruptions-unheard')).verdict.violations).toBeGreaterThan(0);
  });
});

describe('the hunt itself', { timeout: HUNT_MS + 30_000 }, () => {
  it.each(['fill-without-lease', 'tags-unread'] as const)(
    'catches a cache with a fence left out: %s',
    async (mutation) => {
      const options = await optionsFor('standalone', { l1: false });
      expect((await hunt(mutation, { options, mutation })).violations).toBeGreaterThan(0);
    },
  );

  it('catches a near cache that hears of changes too late', async () => {
    const mutation = 'announcements-late';
    const options = await optionsFor('standalone', undefined);
    expect((await hunt(mutation, { options, mutation })).violations).toBeGreaterThan(0);
  });
});
