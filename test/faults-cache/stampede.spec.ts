/** Many callers in many processes on one cold key: one load, one failure, one replacement for a dead loader. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RedisModuleOptions } from '@anbar/nestjs-redis';
import { shared, until } from '../topology/index.js';
import { openFleet, startFleet, stopFleet, type Member } from './fleet.js';
import type { StampedePlan, StampedeReport } from './orders.js';

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
}, 60_000);

afterAll(() => stopFleet(fleet));

async function begin(place: string, plan: Partial<StampedePlan> = {}): Promise<void> {
  const options = (await PLACES[place]?.()) ?? {};
  await openFleet(fleet, { options, cacheName: randomBytes(6).toString('hex'), lease: `${LEASE_MS}ms` });
  const key = randomBytes(6).toString('hex');
  for (const member of fleet) {
    member.tell({
      kind: 'stampede',
      plan: { callers: CALLERS, loadMs: LOAD_MS, fails: false, firstHangs: false, key, ...plan },
    });
  }
}

async function reportsOf(members: readonly Member[]): Promise<readonly StampedeReport[]> {
  const words = await Promise.all(members.map((member) => member.hear('stampeded')));
  return words.map(({ report }) => report);
}

const calls = (reports: readonly StampedeReport[]): number =>
  reports.reduce((sum, each) => sum + each.calls, 0);
const slowest = (reports: readonly StampedeReport[]): number =>
  Math.max(...reports.map((each) => each.tookMs));

describe.each(Object.keys(PLACES))(`${PROCESSES} processes × ${CALLERS} callers on %s`, (place) => {
  it('one load', async () => {
    await begin(place);
    const reports = await reportsOf(fleet);
    console.log(`${place}: ${calls(reports)} load, slowest ${Math.round(slowest(reports))} ms`);
    expect(calls(reports)).toBe(1);
    expect(reports.flatMap((each) => each.answers)).toEqual(
      Array.from({ length: PROCESSES * CALLERS }, () => 'loaded'),
    );
  }, 60_000);

  it('a failing load: one call, and the same error for all', async () => {
    await begin(place, { fails: true });
    const reports = await reportsOf(fleet);
    console.log(`${place}: ${calls(reports)} failing load, slowest ${Math.round(slowest(reports))} ms`);
    expect(calls(reports)).toBe(1);
    const errors = reports.flatMap((each) => each.errors);
    expect(errors).toHaveLength(PROCESSES * CALLERS);
    expect(new Set(errors)).toEqual(new Set(['TypeError|the origin is down|E_ORIGIN']));
  }, 60_000);

  it('the loader is killed: one other takes over when the lease has run out', async () => {
    await begin(place, { firstHangs: true });
    const killed = await until(() => fleet.find((member) => member.take('loading') !== undefined), {
      what: 'the first loader',
      every: 2,
    });
    killed.kill();
    const killedAt = performance.now();
    const rest = fleet.filter((member) => member !== killed);
    const reports = await reportsOf(rest);
    const took = performance.now() - killedAt;
    console.log(
      `${place}: owner killed, ${calls(reports)} more load, all answered after ${Math.round(took)} ms`,
    );
    expect(calls(reports)).toBe(1);
    expect(reports.flatMap((each) => each.answers)).toHaveLength((PROCESSES - 1) * CALLERS);
    fleet = [...rest, ...(await startFleet(1))];
    expect(took).toBeLessThan(LEASE_MS + 100);
  }, 60_000);
});
