/** Changes of shards that something comes in the way of: a death in the middle of them, another change, the end. */
import { describe, expect, it, vi } from 'vitest';
import {
  keyOn,
  openRoom,
  reaching,
  ServerRoom,
  stageOf,
  stateOf,
  type Participant,
} from './sharded-lines.js';

const LEASE_MS = 400;
const IDS = ['a', 'b', 'c'] as const;
const KEYS = Array.from({ length: 60 }, (_, i) => `key:${i}`);

const open = (ids: readonly string[], count: number) => openRoom(ids, { leaseMs: LEASE_MS, count });

describe('a shard that is being added', () => {
  it('dies before it has anything: invalidations go on, and the change when it is back', async () => {
    const { room, processes } = await open(IDS, 2);
    const [one, other] = processes as [Participant, Participant];
    await one.cache.setMany(KEYS.map((key) => [key, 'old'] as const));
    const server = room.server('d');
    const adding = one.cache.addShard('d', { options: server });
    adding.catch(() => undefined);
    await vi.waitFor(() => one.line('d'), { interval: 1 });
    const clearOn = one.line('d').hold('SCAN');
    await reaching(other, 'announced');
    await new Promise((resolve) => setTimeout(resolve, 50));
    server.isAway = true;
    await other.cache.deleteMany(KEYS);
    expect(await one.cache.getMany(KEYS)).toEqual(KEYS.map(() => undefined));
    server.isAway = false;
    clearOn();
    await reaching(one, undefined);
    expect(one.cache.status().shards['d']).toMatchObject({ state: 'up', slots: 4_096 });
  }, 30_000);

  it('does not begin to serve while a process can not reach it', async () => {
    const { room, processes } = await open(IDS, 2);
    const [one, other] = processes as [Participant, Participant];
    const connect = other.cutOff('d');
    await expect(one.cache.addShard('d', { options: room.server('d') })).rejects.toMatchObject({
      code: 'SHARD_QUORUM',
    });
    expect(stageOf(one)).toBe('announced');
    await one.cache.set('key:1', 'stored');
    connect();
    await reaching(one, undefined);
    expect(await other.cache.get('key:1')).toBe('stored');
  }, 30_000);

  it('is another server for each of two who add it at once: one is refused, and uses that of the other', async () => {
    const { room, processes } = await open(IDS, 2);
    const [one, other] = processes as [Participant, Participant];
    const outcomes = await Promise.allSettled([
      one.cache.addShard('d', { options: room.server('d1') }),
      other.cache.addShard('d', { options: room.server('d2') }),
    ]);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    await reaching(one, undefined);
    await reaching(other, undefined);
    const [{ shards }, theirs] = [one.cache.status(), other.cache.status()];
    expect(theirs.shards['d']?.address).toBe(shards['d']?.address);
    const key = keyOn(one.cache, 'd');
    await one.cache.set(key, 'stored');
    expect(await other.cache.get(key)).toBe('stored');
    expect(theirs.shards['d']?.generation).toBe(one.cache.status().shards['d']?.generation);
  }, 30_000);
});

it('what is carried to a shard that is out stays where it was until that is back', async () => {
  const { processes } = await open(['a', 'b'], 2);
  const [one, other] = processes as [Participant, Participant];
  const key = keyOn(one.cache, 'a');
  for (const expected of [1, 2, 3]) expect(await one.cache.incr(key)).toBe(expected);
  const walkOn = one.line('a').hold('SCAN');
  const draining = one.cache.drain('a');
  draining.catch(() => undefined);
  await reaching(one, 'moving');
  const backs = [one, other].map((each) => each.line('b').hold('PING'));
  const heal = other.line('b').refuse('cache.remove');
  await other.cache.delete(keyOn(one.cache, 'b', 5));
  heal();
  await vi.waitFor(() => expect(stateOf(one, 'b')).toBe('out'));
  walkOn();
  await new Promise((resolve) => setTimeout(resolve, LEASE_MS));
  for (const back of backs) back();
  await draining;
  expect(await one.cache.incr(key)).toBe(4);
}, 30_000);

it('a shard that is gone for good can be removed, though nothing was invalidated since', async () => {
  const { room, processes } = await open(IDS, 1);
  const [one] = processes as [Participant];
  const key = keyOn(one.cache, 'a');
  room.server('c').isAway = true;
  await one.cache.removeShard('c');
  expect(one.cache.status().shards['c']).toBeUndefined();
  expect(await one.cache.set(key, 'stored')).toBe(true);
}, 30_000);

describe('the record of a change that died before anybody knew that it was agreed on', () => {
  it('is taken up by the others, though it names a shard that they do not know', async () => {
    const { room, processes } = await open(['a'], 2);
    const [one, other] = processes as [Participant, Participant];
    one.line('a').refuse('shards.learn');
    const adding = one.cache.addShard('d', { options: room.server('d') });
    adding.catch(() => undefined);
    await vi.waitFor(() => expect(stageOf(one)).toBe('announced'), { interval: 1 });
    one.line('d').refuse('shards.learn');
    await one.cache.disconnect();
    await vi.waitFor(() => expect(other.cache.status().shards['d']?.slots).toBe(8_192), { timeout: 8_000 });
    expect(other.cache.status().current).toBe(true);
    expect(await other.cache.set('key:1', 1)).toBe(true);
  }, 30_000);
});

it('a process that has found only an old record looks on among the shards that it was given', async () => {
  const { room, processes } = await open(['a'], 1);
  const [one] = processes as [Participant];
  for (const [added, removed] of [
    ['b', 'a'],
    ['c', 'b'],
  ] as const) {
    await one.cache.addShard(added, { options: room.server(added) });
    await one.cache.removeShard(removed);
  }
  room.server('b').isAway = true;
  const late = room.process(['a', 'c']);
  const connect = late.cutOff('c');
  const connecting = late.cache.connect({ timeout: '15s' });
  await vi.waitFor(() =>
    expect(late.cache.status()).toMatchObject({ current: false, shards: { b: { state: 'up' } } }),
  );
  connect();
  await connecting;
  expect(late.cache.status()).toMatchObject({ current: true, epoch: one.cache.status().epoch });
}, 30_000);

describe('closing', () => {
  it('ends the wait of those who wait for shards that do not answer', async () => {
    const room = new ServerRoom(LEASE_MS);
    for (const id of IDS) room.server(id).isAway = true;
    const { cache } = room.process(IDS);
    const waiting = [
      cache.connect({ timeout: '30s' }),
      cache.addShard('d', { options: room.server('d') }),
      cache.delete('key:1'),
    ].map((each) => each.catch((error: unknown) => error));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const closedAt = performance.now();
    await cache.disconnect();
    for (const each of waiting) expect(await each).toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    expect(performance.now() - closedAt).toBeLessThan(200);
  });

  it('leaves when what it has begun is over: nobody moves a key that is being written', async () => {
    const { processes } = await open(['a', 'b'], 2);
    const [one, other] = processes as [Participant, Participant];
    const putOn = other.line('a').hold('cache.put');
    const setting = other.cache.set(keyOn(one.cache, 'a'), 'late').catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const closing = other.cache.disconnect();
    const draining = one.cache.drain('a');
    await new Promise((resolve) => setTimeout(resolve, LEASE_MS / 3));
    expect(stageOf(one)).toBe('announced');
    putOn();
    await Promise.all([setting, closing, draining]);
    expect(one.cache.status().shards['a']).toMatchObject({ slots: 0 });
  }, 20_000);

  it('is the end, also of a fleet that is just being founded', async () => {
    const { cache } = new ServerRoom(LEASE_MS).process(IDS);
    const connecting = cache.connect({ timeout: '5s' }).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, LEASE_MS / 4));
    await cache.disconnect();
    await connecting;
    await new Promise((resolve) => setTimeout(resolve, LEASE_MS * 2));
    expect(cache.status().epoch).toBeUndefined();
  });
});
