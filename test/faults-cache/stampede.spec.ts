/** Many callers in many processes on one cold key: one load, one failure, one replacement for a dead loader. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RedisModuleOptions } from '@anbar/nestjs-redis';
import { shared } from '../topology/index.js';
import { startFleet, stopFleet, type Member } from './fleet.js';
import { runStampede, type StampedeKind, type StampedeOutcome } from './stampede-run.js';

const PROCESSES = 4;
const CALLERS = 100;
const LOAD_MS = 50;
const LEASE_MS = 1_000;

const PLACES: Readonly<Record<string, () => Promise<RedisModuleOptions>>> = {
  standalone: async () => ({ url: (await shared('standalone')).url }),
  cluster: async () => ({ cluster: { nodes: (await shared('cluster')).nodes.slice(0, 2) } }),
};

let fleet: readonly Member[] = [];

beforeAll(async () => {
  fleet = await startFleet(PROCESSES);
}, 180_000);

afterAll(() => stopFleet(fleet));

async function stampede(place: string, kind: StampedeKind): Promise<StampedeOutcome> {
  const options = (await PLACES[place]?.()) ?? {};
  const originUrl = (await shared('standalone')).url;
  const sizes = { callers: CALLERS, loadMs: LOAD_MS, leaseMs: LEASE_MS, rehearsals: 2 };
  const outcome = await runStampede({ fleet, kind, options, originUrl, ...sizes });
  fleet = outcome.fleet;
  console.log(
    `${place}, ${kind}: ${outcome.calls} calls, all answered after ${Math.round(outcome.tookMs)} ms`,
  );
  return outcome;
}

describe.each(Object.keys(PLACES))(`${PROCESSES} processes × ${CALLERS} callers on %s`, (place) => {
  it('one load', async () => {
    const { calls, answers } = await stampede(place, 'loads');
    expect(calls).toBe(1);
    expect(answers).toEqual(Array.from({ length: PROCESSES * CALLERS }, () => 'loaded'));
  }, 60_000);

  it('a failing load: one call, and the same error for all', async () => {
    const { calls, errors } = await stampede(place, 'fails');
    expect(calls).toBe(1);
    expect(errors).toHaveLength(PROCESSES * CALLERS);
    expect(new Set(errors)).toEqual(new Set(['TypeError|the origin is down|E_ORIGIN']));
  }, 60_000);

  it('the loader is killed: one other takes over when the lease has run out', async () => {
    const { calls, answers, tookMs } = await stampede(place, 'owner killed');
    expect(calls).toBe(2);
    expect(answers).toHaveLength((PROCESSES - 1) * CALLERS);
    expect(tookMs).toBeLessThan(LEASE_MS + 100);
  }, 60_000);
});
