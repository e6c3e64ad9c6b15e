/** One of four shards is killed, frozen or started again: what the others feel, and what it may answer afterwards. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ShardedCache } from '@anbar/nestjs-redis/cache';
import { startShards, until, type Shards } from '../topology/index.js';
import { openSharded } from './sharded-hunt.js';

const IDS = ['a', 'b', 'c', 'd'] as const;
const DEAD = 'c';
const LEASE_MS = 1_000;
/** The deadline of a call, as openSharded sets it, and what the machine may take besides. */
const DEADLINE_MS = 2_000;
const SLACK_MS = 1_500;

let servers: Shards;
let one: ShardedCache<unknown, string>;
let other: ShardedCache<unknown, string>;

beforeEach(async () => {
  servers = await startShards(IDS.length, { keepData: true, config: { appendonly: 'no' } });
  const urls = Object.fromEntries(IDS.map((id, i) => [id, servers.urls[i] ?? '']));
  const plan = { urls, namespace: 'outage', leaseMs: LEASE_MS };
  one = openSharded(plan);
  other = openSharded(plan);
  await one.connect({ timeout: '20s' });
  await other.connect({ timeout: '20s' });
}, 60_000);

afterEach(async () => {
  await Promise.all([one.disconnect(), other.disconnect()]);
  await servers.stop();
});

function keysOf(id: string, count = 20): readonly string[] {
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i += 1) if (one.shardFor(`key:${i}`) === id) keys.push(`key:${i}`);
  return keys;
}

const server = () => servers.shards[IDS.indexOf(DEAD)]?.process;

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const startedAt = performance.now();
  return [await work(), performance.now() - startedAt];
}

/** A shard that is out is answered for without asking anybody, so a loop of that would let nothing else happen. */
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 1);
  });

const isBack = () => one.status().shards[DEAD]?.state === 'up' && other.status().shards[DEAD]?.state === 'up';

describe.each(['killed', 'frozen'] as const)('a shard is %s', (fault) => {
  it('takes its share with it; an invalidation it missed is in force when it is back', async () => {
    const theirs = keysOf(DEAD);
    const [deleted = '', tagged = '', kept = ''] = theirs;
    const others = IDS.filter((id) => id !== DEAD).flatMap((id) => keysOf(id, 5));
    await one.setMany(
      [...theirs, ...others].map((key) => [key, 'old'] as const),
      { tags: ['all'] },
    );
    await one.set(tagged, 'old', { tags: ['some'] });
    expect(await other.getMany(theirs)).toEqual(theirs.map(() => 'old'));

    // What it comes back with is what it has now.
    await server()?.admin('SAVE');
    if (fault === 'killed') await server()?.kill();
    else await server()?.freeze();
    const [loaded, first] = await timed(() => one.getOrSet(kept, () => 'origin'));
    expect(loaded).toBe('origin');
    expect(first).toBeLessThan(DEADLINE_MS + SLACK_MS);
    const [removed] = await timed(() => one.delete(deleted));
    expect(removed).toBe(false);
    await one.invalidateTags('some');
    expect(one.status().shards[DEAD]?.state).toBe('out');

    const [, again] = await timed(() => one.getOrSet(kept, () => 'origin'));
    const [, deleting] = await timed(() => one.delete(theirs[5] ?? ''));
    expect(Math.max(again, deleting)).toBeLessThan(100);
    // Nothing is stored. Where the fleet has just begun to take the shard in again, the caller is told that it is away.
    expect(await one.set(kept, 'new').catch(isAway)).toBe(false);
    expect(await other.getMany(others)).toEqual(others.map(() => 'old'));
    expect(await other.getOrSet(deleted, () => 'origin')).toBe('origin');
    await expect(one.incr(theirs[7] ?? '')).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });

    const answers: unknown[] = [];
    const watching = new AbortController();
    const watch = (async () => {
      while (!watching.signal.aborted) {
        answers.push(...(await other.getMany([deleted, tagged, theirs[5] ?? '', kept])));
        await turn();
      }
    })();
    if (fault === 'killed') await server()?.restart('keepData');
    else await server()?.thaw();
    await until(isBack, { what: 'the shard to be taken in again', timeout: 20_000 });
    watching.abort();
    await watch;
    expect(answers.filter((answer) => answer !== undefined)).toEqual([]);
    expect(await other.getMany(theirs)).toEqual(theirs.map(() => undefined));
    // One of them has found it back, and the other may be about to connect still: to that one all is a miss.
    await until(() => one.set(deleted, 'new').catch(isAway), { what: 'a value to be stored there' });
    expect(await until(() => other.get(deleted), { what: 'it to be read by the other' })).toBe('new');
  }, 60_000);
});

it('a shard that was started again with an older past answers nothing of it', async () => {
  const theirs = keysOf(DEAD);
  await one.setMany(theirs.map((key) => [key, 'old'] as const));
  await server()?.admin('SAVE');
  await one.deleteMany(theirs);
  const answers: unknown[] = [];
  const watching = new AbortController();
  const watch = (async () => {
    while (!watching.signal.aborted) {
      answers.push(...(await other.getMany(theirs)), ...(await one.getMany(theirs)));
      await turn();
    }
  })();
  await server()?.kill();
  await server()?.restart('keepData');
  const before = one.status().shards[DEAD]?.generation;
  await until(() => isBack() && one.status().shards[DEAD]?.generation !== before, {
    what: 'a new beginning',
    timeout: 20_000,
  });
  watching.abort();
  await watch;
  expect(answers.filter((answer) => answer !== undefined)).toEqual([]);
}, 60_000);

it('what can not be agreed on is not acknowledged', async () => {
  const [key = ''] = keysOf(DEAD);
  await one.set(key, 'old');
  for (const shard of servers.shards.slice(0, 3)) await shard.process.freeze();
  await expect(one.delete(key)).rejects.toThrow();
  for (const shard of servers.shards.slice(0, 3)) await shard.process.thaw();
}, 60_000);

function isAway(error: unknown): false {
  expect(error).toMatchObject({
    code: expect.stringMatching(/NOT_CONNECTED|CIRCUIT_OPEN|SHARD_UNAVAILABLE/u) as string,
  });
  return false;
}
