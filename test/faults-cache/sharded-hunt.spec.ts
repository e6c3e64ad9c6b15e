/** Shards come and go under three processes: nothing stale, nothing wrong, nothing lost. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startShards, type Shards } from '../topology/index.js';
import { openSharded, totalOfCounters } from './sharded-hunt.js';
import { Member } from './sharded-members.js';
import type { ShardedOrder, ShardedReport } from './sharded-orders.js';

const PROCESSES = 3;
/** At least so long, and so many changes. */
const FOR_MS = Number(process.env['SHARDED_HUNT_MS'] ?? 3_000);
const CHANGES = 2;
const SEED = Number(process.env['SHARDED_HUNT_SEED'] ?? 20_261_121);

interface Verdict {
  readonly stale: readonly string[];
  readonly reads: number;
  readonly acknowledged: number;
}

/** A read may not answer less than what was acknowledged before it began. */
function judge(reports: readonly ShardedReport[]): Verdict {
  const floors = new Map<number, { at: number; version: number }[]>();
  for (const { acknowledged } of reports) {
    for (let i = 0; i < acknowledged.length; i += 3) {
      const [key = 0, at = 0, version = 0] = acknowledged.slice(i, i + 3);
      const list = floors.get(key) ?? [];
      floors.set(key, list);
      list.push({ at, version });
    }
  }
  for (const list of floors.values()) list.sort((one, other) => one.at - other.at);
  const stale: string[] = [];
  let reads = 0;
  for (const [reader, report] of reports.entries()) {
    for (let i = 0; i < report.reads.length; i += 3) {
      const [key = 0, startedAt = 0, version = 0] = report.reads.slice(i, i + 3);
      reads += 1;
      if (version === -1) continue;
      const before = (floors.get(key) ?? []).filter((each) => each.at < startedAt);
      const floor = Math.max(0, ...before.map((each) => each.version));
      if (version < floor)
        stale.push(`process ${reader} read ${version} of ${key} at ${startedAt}, acknowledged was ${floor}`);
    }
  }
  const acknowledged = reports.reduce((sum, each) => sum + each.acknowledged.length / 3, 0);
  return { stale, reads, acknowledged };
}

let servers: Shards;
let members: readonly Member[] = [];

beforeAll(async () => {
  servers = await startShards(5);
  members = Array.from({ length: PROCESSES }, () => new Member());
  await Promise.all(members.map((member) => member.hear('ready')));
}, 60_000);

afterAll(async () => {
  await Promise.all(members.map((member) => member.kill()));
  await servers.stop();
});

async function tellAll(order: (index: number) => ShardedOrder): Promise<void> {
  members.forEach((member, index) => member.tell(order(index)));
  await Promise.all(members.map((member) => member.hear('ready')));
}

describe(`${PROCESSES} processes, seed ${SEED}`, () => {
  it('shards are added, drained and removed while everybody reads, writes and counts', async () => {
    const [a = '', b = '', c = '', d = '', originUrl = ''] = servers.urls;
    const plan = { urls: { a, b, c }, namespace: 'hunt', leaseMs: 3_000 };
    const open = (index: number): ShardedOrder => ({
      kind: 'open',
      plan: { ...plan, originUrl, index, processes: PROCESSES, seed: SEED },
    });
    await tellAll(open);
    await tellAll(() => ({ kind: 'prepare' }));
    for (const member of members) member.tell({ kind: 'hunt' });
    const until = performance.now() + FOR_MS;
    const changes: string[] = [];
    for (let turn = 0; turn < CHANGES || performance.now() < until; turn += 1) {
      const driver = members[turn % PROCESSES];
      const steps = [
        { act: 'addShard', id: 'd', url: d },
        { act: 'drain', id: 'b' },
        { act: 'addShard', id: 'b' },
        { act: 'removeShard', id: 'd' },
      ] as const;
      driver?.tell({ kind: 'change', ...(steps[turn % steps.length] ?? steps[0]) });
      const word = await driver?.hear('changed');
      changes.push(`${steps[turn % steps.length]?.act ?? ''}: ${word?.moved ?? 0} ${word?.error ?? ''}`);
    }
    for (const member of members) member.tell({ kind: 'stop' });
    const reports = (await Promise.all(members.map((member) => member.hear('hunted')))).map(
      ({ report }) => report,
    );
    const { stale, reads, acknowledged } = judge(reports);
    const total = (pick: (report: ShardedReport) => number): number =>
      reports.reduce((sum, each) => sum + pick(each), 0);
    const mine = openSharded(plan);
    await mine.connect({ timeout: '30s' });
    const counted = await totalOfCounters(mine);
    await mine.disconnect();
    console.log(
      `${reads} reads, ${acknowledged} invalidations, ${changes.length} changes (${changes.join(', ')}), ` +
        `${total((each) => each.increments)} increments, ${total((each) => each.rejected)} rejected; ` +
        `stale ${stale.length}, wrong ${total((each) => each.wrong.length)}, lost ${total((each) => each.lost.length)}`,
    );
    expect(changes.filter((change) => change.includes('Error'))).toEqual([]);
    expect(stale).toEqual([]);
    expect(reports.flatMap(({ wrong }) => wrong)).toEqual([]);
    expect(reports.flatMap(({ lost }) => lost)).toEqual([]);
    expect(total(({ doubled }) => doubled)).toBe(0);
    expect(counted).toBe(total(({ increments }) => increments));
    expect(reads).toBeGreaterThan(100);
  }, 600_000);
});
