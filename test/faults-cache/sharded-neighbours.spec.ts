/** Two processes that are one change apart, as they may be: what one has acknowledged, the other may not undo. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { keyOn, openRoom, stateOf, type Participant } from './sharded-lines.js';

const LEASE_MS = 1_000;
const IDS = ['a', 'b', 'c'] as const;

const open = (count: number) => openRoom(IDS, { leaseMs: LEASE_MS, count });

describe('a shard is out for one of them, and in use still for the other', () => {
  it('an invalidation is acknowledged when nobody reads from there any more', async () => {
    const { processes } = await open(3);
    const [one, other, reader] = processes as [Participant, Participant, Participant];
    const [key, another] = [keyOn(one.cache, 'a'), keyOn(one.cache, 'a', 1)];
    await one.cache.set(key, 'old');
    await vi.waitFor(async () => expect(await reader.cache.get(key)).toBe('old'));
    onTestFinished(reader.stall());
    one.line('a').refuse('cache.remove');
    const taking = one.cache.delete(another);
    await vi.waitFor(() => expect(stateOf(other, 'a')).toBe('out'), { interval: 1 });
    expect(stateOf(reader, 'a')).toBe('up');
    await other.cache.delete(key);
    expect(await reader.cache.get(key)).toBeUndefined();
    await taking;
  }, 20_000);
});

describe('a shard is returning for one of them, and out still for the other', () => {
  it('what is written there can not outlive an invalidation', async () => {
    const { processes } = await open(2);
    const [one, other] = processes as [Participant, Participant];
    const key = keyOn(one.cache, 'a');
    const heal = one.line('a').refuse('cache.remove');
    const [letBack] = [one, other].map((each) => each.line('a').hold('PING'));
    await one.cache.delete(keyOn(one.cache, 'a', 1));
    heal();
    const resume = other.stall();
    onTestFinished(resume);
    letBack?.();
    await vi.waitFor(() => expect(stateOf(one, 'a')).toBe('returning'), { interval: 1 });
    await one.cache.set(key, 'written');
    await other.cache.delete(key);
    expect(stateOf(other, 'a')).toBe('out');
    resume();
    await vi.waitFor(() => expect(stateOf(one, 'a')).toBe('up'), { timeout: 5_000 });
    expect(await one.cache.get(key)).toBeUndefined();
  }, 20_000);
});

it('a process that was left with a server that the fleet uses no more invalidates where all others read', async () => {
  const { room, processes } = await open(1);
  const [left] = processes as [Participant];
  const resume = left.stall();
  onTestFinished(resume);
  const follower = room.process(IDS, { a: 'a2' });
  await follower.cache.connect({ timeout: '20s' });
  const key = keyOn(follower.cache, 'a');
  await vi.waitFor(async () => expect(await follower.cache.set(key, 'old')).toBe(true), { timeout: 10_000 });
  resume();
  await vi.waitFor(() => expect(left.cache.status().epoch).toBe(follower.cache.status().epoch), {
    interval: 1,
  });
  await left.cache.delete(key);
  expect(await follower.cache.get(key)).toBeUndefined();
}, 30_000);

it('a process that joins makes nobody forget those who take part', async () => {
  const { room, processes } = await open(2);
  const [one, other] = processes as [Participant, Participant];
  const key = keyOn(one.cache, 'a');
  await one.cache.set(key, 'old');
  onTestFinished(other.stall());
  const joining = room.process(IDS);
  // It asks all that it was given, and one of them is slow.
  const answers = ['HMGET', 'shards.renew'].map((name) => joining.line('c').hold(name));
  const joined = joining.cache.connect({ timeout: '20s' });
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (const letCome of answers) letCome();
  await joined;
  expect(other.cache.status().current).toBe(true);
  one.line('a').refuse('cache.remove');
  await one.cache.delete(key);
  expect(await other.cache.get(key)).toBeUndefined();
}, 20_000);
