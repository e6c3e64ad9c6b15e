/**
 * Several processes read, load, store and invalidate the same keys at random, each over `createRedis`. Without
 * near cache a read that began after an invalidation was acknowledged never answers what was before it; with
 * one, no read that began 50 ms after it. A cache without its fence is caught. `hunt.mjs` is the long form.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RedisModuleOptions } from '@anbar/nestjs-redis';
import { admin, shared, startStandalone, type Standalone } from '../topology/index.js';
import { startFleet, stopFleet, type Member } from './fleet.js';
import { runHunt, TOLERANCE_MS, type HuntOrder, type HuntOutcome } from './hunt-run.js';
import { REMOTE_MUTATIONS, type Mutation } from './orders.js';

const PROCESSES = 4;
const SEED = Number(process.env['HUNT_SEED'] ?? 20_261_120);
/** By operations, not by time: on a busy machine a second may see next to nothing. */
const OPERATIONS = Number(process.env['HUNT_OPERATIONS'] ?? 2_000);
const TEST_MS = 120_000;
/** A fence that is left out is noticed much sooner. */
const CAUGHT_WITHIN_MS = 40_000;
const CUT_EVERY_MS = 300;
/** Each process compiles the library for itself. */
const FLEET_START_MS = 180_000;

const PLACES: Readonly<Record<string, () => Promise<RedisModuleOptions>>> = {
  standalone: async () => ({ url: (await shared('standalone')).url }),
  cluster: async () => ({ cluster: { nodes: (await shared('cluster')).nodes.slice(0, 2) } }),
  sentinel: async () => {
    const { name, sentinels } = await shared('sentinel');
    return { sentinel: { name, nodes: sentinels } };
  },
};

let fleet: readonly Member[] = [];
let origin: Standalone | undefined;

beforeAll(async () => {
  [fleet, origin] = await Promise.all([startFleet(PROCESSES), startStandalone()]);
}, FLEET_START_MS);

afterAll(async () => {
  await stopFleet(fleet);
  await origin?.stop();
});

async function hunt(
  what: string,
  order: Pick<HuntOrder, 'options' | 'mutation' | 'meanwhile'> & Partial<HuntOrder>,
): Promise<HuntOutcome> {
  const outcome = await runHunt({
    fleet,
    originUrl: String(origin?.url),
    seed: SEED,
    enough: { operations: OPERATIONS },
    ...order,
  });
  console.log(`${what}, seed ${SEED}: ${JSON.stringify(outcome)}`);
  return outcome;
}

async function optionsFor(place: string, cache: RedisModuleOptions['cache']): Promise<RedisModuleOptions> {
  return { ...(await PLACES[place]?.()), cache: cache ?? {} };
}

function expectClean(outcome: HuntOutcome): void {
  expect(outcome.cases).toEqual([]);
  expect(outcome).toMatchObject({ violations: 0, wrong: 0, unjudged: 0, errorTexts: [] });
  // A hunt in which nothing happened proves nothing.
  expect(outcome.failures).toBe(0);
  expect(outcome.hits).toBeGreaterThan(200);
  expect(outcome.acknowledged).toBeGreaterThan(100);
  expect(outcome.refusedFills).toBeGreaterThan(2);
}

describe.each(Object.keys(PLACES))('race hunt on %s', { timeout: TEST_MS }, (place) => {
  it('nothing invalidated comes back', async () => {
    const options = await optionsFor(place, { l1: false });
    const outcome = await hunt(`${place}, no L1`, { options });
    expectClean(outcome);
    expect(outcome.l1Hits).toBe(0);
    expect(outcome.stale).toBe(0);
  });

  it(`with a near cache, nothing comes back after ${TOLERANCE_MS} ms`, async () => {
    const options = await optionsFor(place, undefined);
    const outcome = await hunt(`${place}, L1`, { options });
    expectClean(outcome);
    expect(outcome.l1Hits).toBeGreaterThan(20);
  });
});

describe('a near cache that hears by bus', { timeout: TEST_MS }, () => {
  it(`nothing comes back after ${TOLERANCE_MS} ms`, async () => {
    const options = await optionsFor('standalone', { l1: { sync: 'bus' } });
    const outcome = await hunt('by bus', { options });
    expectClean(outcome);
    expect(outcome.l1Hits).toBeGreaterThan(20);
  });
});

describe('a near cache whose tracking is cut', { timeout: TEST_MS }, () => {
  let server: Standalone;

  beforeAll(async () => {
    server = await startStandalone();
  });

  afterAll(() => server.stop());

  async function cutting(order: Partial<HuntOrder>): Promise<{ outcome: HuntOutcome; cuts: number }> {
    let cuts = 0;
    const meanwhile = async (until: AbortSignal): Promise<void> => {
      while (!until.aborted) {
        await sleep(CUT_EVERY_MS);
        cuts += Number(await admin(server.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub'));
      }
    };
    const what = `cut every ${CUT_EVERY_MS} ms${order.mutation === undefined ? '' : `, ${order.mutation}`}`;
    return { outcome: await hunt(what, { options: { url: server.url }, meanwhile, ...order }), cuts };
  }

  it(`nothing comes back after ${TOLERANCE_MS} ms`, async () => {
    const { outcome, cuts } = await cutting({ enough: { operations: OPERATIONS * 2 } });
    expectClean(outcome);
    expect(outcome.l1Hits).toBeGreaterThan(20);
    expect(cuts).toBeGreaterThan(PROCESSES);
  });

  it('catches one that does not mind', async () => {
    const enough = { ms: CAUGHT_WITHIN_MS, violations: 1 };
    const { outcome } = await cutting({ mutation: 'interruptions-unheard', enough });
    expect(outcome.violations).toBeGreaterThan(0);
  });
});

describe('the hunt itself', { timeout: TEST_MS }, () => {
  const enough = { ms: CAUGHT_WITHIN_MS, violations: 1 };

  it.each(REMOTE_MUTATIONS)('catches a cache with a fence left out: %s', async (mutation) => {
    const options = await optionsFor('standalone', { l1: false });
    expect((await hunt(mutation, { options, mutation, enough })).violations).toBeGreaterThan(0);
  });

  it.each<Mutation>(['epoch-ignored', 'announcements-late'])(
    'catches a near cache with a fence left out: %s',
    async (mutation) => {
      const options = await optionsFor('standalone', undefined);
      expect((await hunt(mutation, { options, mutation, enough })).violations).toBeGreaterThan(0);
    },
  );
});
