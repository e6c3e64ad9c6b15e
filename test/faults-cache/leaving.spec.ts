/** Processes that go while they load, by `disconnect()` or by `kill -9`: nothing of them stays, here or in Redis. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { admin, infoFields, shared, startStandalone, until, type Standalone } from '../topology/index.js';
import { Member, openFleet } from './fleet.js';
import type { StampedePlan } from './orders.js';

const CALLERS = 20;
const LEASE_MS = 1_000;
/** How long `disconnect()` waits for loads. */
const DRAIN_MS = 2_000;

let server: Standalone;
let member: Member;

beforeAll(async () => {
  server = await startStandalone();
});

afterAll(() => server.stop());

/** A process of its own with a load under way. */
async function loading(cacheName: string, plan: Partial<StampedePlan>): Promise<void> {
  member = new Member();
  await member.hear('ready');
  await openFleet([member], {
    subject: 'ours',
    options: { url: server.url },
    // Another server: here every connection is counted.
    originUrl: (await shared('standalone')).url,
    cacheName,
    lease: `${LEASE_MS}ms`,
    mutation: undefined,
  });
  const key = randomBytes(6).toString('hex');
  member.tell({
    kind: 'stampede',
    plan: { callers: CALLERS, rehearsals: 0, loadMs: 50, fails: false, firstHangs: false, key, ...plan },
  });
  await member.hear('poised');
  member.tell({ kind: 'go', at: 0 });
  await until(async () => (await leasesOf(cacheName)).length > 0, { what: 'a lease', every: 2 });
  await until(async () => (await trackingClients()) === 1, { what: 'a tracking connection', every: 2 });
}

async function keysLike(pattern: string): Promise<readonly string[]> {
  return ((await admin(server.port, 'KEYS', pattern)) as string[]).toSorted();
}

function leasesOf(cacheName: string): Promise<readonly string[]> {
  return keysLike(`hunt:*:lease:${cacheName}:*`);
}

async function trackingClients(): Promise<number> {
  return Number(infoFields(await admin(server.port, 'INFO', 'clients'))['tracking_clients']);
}

/** But the one that asks. */
async function otherClients(): Promise<number> {
  return (
    String(await admin(server.port, 'CLIENT', 'LIST'))
      .trim()
      .split('\n').length - 1
  );
}

async function expectNobodyConnected(): Promise<void> {
  await until(async () => (await otherClients()) === 0, {
    what: 'the last connection to be gone',
    timeout: 2_000,
  });
  expect(await trackingClients()).toBe(0);
}

/** The clock of a namespace is the one key that has to stay. */
async function expectNothingForEver(): Promise<void> {
  const keys = await keysLike('hunt:*');
  const ends = await Promise.all(keys.map((key) => admin(server.port, 'PTTL', key)));
  expect(keys.filter((_, i) => ends[i] === -1)).toEqual(['hunt:v1:clock']);
}

/** Marks of what has been stored stay for a moment; what would keep others from loading does not. */
async function heldLeasesOf(cacheName: string): Promise<readonly string[]> {
  const leases = await leasesOf(cacheName);
  const records = await Promise.all(leases.map((lease) => admin(server.port, 'GET', lease)));
  return records.map(String).filter((record) => record.startsWith('+'));
}

describe('disconnect() while a load is under way', () => {
  it.each([
    ['that ends in time', { loadMs: 300 }, { answers: CALLERS, errors: 0, withinMs: 1_000 }],
    ['that never ends', { firstHangs: true }, { answers: 0, errors: CALLERS, withinMs: DRAIN_MS + 500 }],
  ])('%s: callers are settled and the process ends by itself', async (_what, plan, expected) => {
    const cacheName = randomBytes(6).toString('hex');
    await loading(cacheName, plan);
    const startedAt = performance.now();
    const exit = once(member.process, 'exit');
    member.tell({ kind: 'leave' });
    const { report } = await member.hear('stampeded');
    const { holding } = await member.hear('left');
    const leftMs = performance.now() - startedAt;
    const exited = await Promise.race([
      exit,
      until(() => false, { what: `exit, held by ${holding.join()}` }),
    ]);
    console.log(
      `left after ${Math.round(leftMs)} ms, ended after ${Math.round(performance.now() - startedAt)} ms`,
      [...new Set(report.errors)].join(),
    );
    expect(exited).toEqual([0, null]);
    expect({ answers: report.answers.length, errors: report.errors.length }).toEqual({
      answers: expected.answers,
      errors: expected.errors,
    });
    expect(leftMs).toBeLessThan(expected.withinMs);
    expect(await heldLeasesOf(cacheName)).toEqual([]);
    await expectNobodyConnected();
    await expectNothingForEver();
  });
});

it('kill -9 while a load is under way: the lease runs out, connections and tracking are gone', async () => {
  const cacheName = randomBytes(6).toString('hex');
  await loading(cacheName, { firstHangs: true });
  const killedAt = performance.now();
  await member.stop();
  await expectNobodyConnected();
  await until(async () => (await leasesOf(cacheName)).length === 0, {
    what: 'the lease to run out',
    every: 2,
  });
  expect(performance.now() - killedAt).toBeLessThan(LEASE_MS + 100);
  await expectNothingForEver();
});

afterAll(() => member.stop());
