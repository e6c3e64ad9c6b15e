/** Whoever carries a move out dies in the middle of it: another process goes on, and nothing is lost or comes back. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ShardedCache } from '@anbar/nestjs-redis/cache';
import { startShards, until, type Shards } from '../topology/index.js';
import { openSharded } from './sharded-hunt.js';
import { Member } from './sharded-members.js';

/** As the driver has it: entries of a cache that it did not know would stay where they are. */
const KEEP = { jitter: 0, earlyRefresh: false, ttl: '1h' } as const;
const LEASE_MS = 1_000;
/** Enough that the walk over them takes longer than the driver lives. */
const ENTRIES = 4_000;
const EVERY_NTH_GOES = 7;

let servers: Shards;
let driver: Member;
let mine: ShardedCache<unknown, string>;
let plan: Parameters<typeof openSharded>[0];

beforeEach(async () => {
  servers = await startShards(5);
  const [a = '', b = '', c = ''] = servers.urls;
  plan = { urls: { a, b, c }, namespace: 'takeover', leaseMs: LEASE_MS };
  mine = openSharded(plan);
  await mine.connect({ timeout: '30s' });
  driver = new Member();
  await driver.hear('ready');
  const originUrl = servers.urls[4] ?? '';
  driver.tell({ kind: 'open', plan: { ...plan, originUrl, index: 0, processes: 1, seed: 1 } });
  await driver.hear('ready');
}, 60_000);

afterEach(async () => {
  await driver.kill();
  await mine.disconnect();
  await servers.stop();
});

const entry = (i: number): string => `entry:${i}`;
const gone = (i: number): boolean => i % EVERY_NTH_GOES === 0;

async function fill(cache: ShardedCache<unknown, string>): Promise<void> {
  await cache.setMany(Array.from({ length: ENTRIES }, (_, i) => [entry(i), i] as const));
}

describe.each([
  { change: 'a shard is added', act: 'addShard', id: 'd', stage: 'moving', owner: true },
  { change: 'a shard is drained', act: 'drain', id: 'b', stage: 'announced', owner: false },
] as const)('$change, and it dies when that is $stage', ({ act, id, stage, owner }) => {
  it('the move ends without the process that began it', async () => {
    const kept = mine.namespace('keep', KEEP);
    await fill(kept);
    const url = servers.urls[3] ?? '';
    driver.tell({ kind: 'change', act, id, ...(act === 'addShard' && { url }) });
    await until(() => mine.status().move?.stage === stage, { what: `the move to be ${stage}` });
    await driver.kill();
    const left = mine.status().move;
    expect(left, 'the driver was killed before the move had ended').toBeDefined();

    // Invalidated while nobody carries the move on: it may not come back with it.
    const some = Array.from({ length: ENTRIES }, (_, i) => i).filter(gone);
    await kept.deleteMany(some.map(entry));
    await until(() => mine.status().move === undefined, { what: 'the move to end', timeout: 60_000 });

    const { shards } = mine.status();
    expect((shards[id]?.slots ?? 0) > 0).toBe(owner);
    const found = await kept.getMany(Array.from({ length: ENTRIES }, (_, i) => entry(i)));
    const wrong = [...Array(ENTRIES).keys()].filter((i) => found[i] !== (gone(i) ? undefined : i));
    console.log(
      `killed in '${left?.stage}': ${ENTRIES} entries, ${some.length} deleted meanwhile, ${wrong.length} wrong`,
    );
    expect(wrong).toEqual([]);
  }, 120_000);
});
