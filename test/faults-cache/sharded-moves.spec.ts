/** Moves of slots that something comes in the way of: a connection, a majority, a write, a wrong address. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { keyOn, openRoom, reaching, type Participant } from './sharded-lines.js';

const LEASE_MS = 400;

async function open(...ids: readonly string[]) {
  const { room, processes } = await openRoom(ids, { leaseMs: LEASE_MS, count: 1 });
  const [one] = processes as [Participant];
  return { room, one, cache: one.cache };
}

describe('while it is not known whether the old owner is still the same server', () => {
  async function movingCounter() {
    const { one, cache } = await open('a', 'b');
    const key = keyOn(cache, 'a');
    for (const expected of [1, 2, 3]) expect(await cache.incr(key)).toBe(expected);
    const walkOn = one.line('a').hold('SCAN');
    const draining = cache.drain('a');
    await reaching(one, 'moving');
    const letAsk = one.line('a').hold('PING');
    one.line('a').loseConnection();
    return { one, cache, key, draining, walkOn, letAsk };
  }

  it('no number that it has given is given again', async () => {
    const { cache, key, draining, walkOn, letAsk } = await movingCounter();
    await expect(cache.incr(key)).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    letAsk();
    await vi.waitFor(async () => expect(await cache.incr(key)).toBe(4), { timeout: 5_000 });
    walkOn();
    await draining;
    expect(await cache.incr(key)).toBe(5);
  });

  it('the move does not end without what is still there', async () => {
    const { one, cache, key, draining, walkOn, letAsk } = await movingCounter();
    walkOn();
    const again = vi.waitFor(() => expect(one.line('a').walks).toBeGreaterThan(1), { timeout: 5_000 });
    await Promise.race([draining, again]);
    letAsk();
    await draining;
    expect(await cache.incr(key)).toBe(4);
  });
});

it('a move that was broken off by an outage goes on after it, and writes with it', async () => {
  const { one, cache } = await open('a', 'b', 'c');
  const key = keyOn(cache, 'a');
  const healing: (() => void)[] = [];
  const stop = cache.onChange((event) => {
    if (event.name !== 'move' || event.stage !== 'handover') return;
    stop();
    healing.push(one.line('b').refuse('shards.prepare'), one.line('c').refuse('shards.prepare'));
  });
  await expect(cache.drain('a')).rejects.toMatchObject({ code: 'SHARD_QUORUM' });
  expect(cache.status().move?.stage).toBe('handover');
  expect(await cache.set(key, 'refused')).toBe(false);
  for (const heal of healing) heal();
  await reaching(one, undefined);
  expect(await cache.set(key, 'stored')).toBe(true);
  expect(await cache.get(key)).toBe('stored');
});

it('what is written while a handover begins is stored when it was said to be', async () => {
  const { one, cache } = await open('a', 'b');
  const key = keyOn(cache, 'a');
  const clearOn = one.line('b').hold('SCAN');
  const draining = cache.drain('a');
  await reaching(one, 'announced');
  const putOn = one.line('a').hold('cache.put');
  const setting = cache.set(key, 'written');
  clearOn();
  await reaching(one, 'handover');
  putOn();
  expect(await setting).toBe(true);
  await draining;
  expect(await cache.get(key)).toBe('written');
});

it('a shard that was looked for at a wrong address is let go, and found at the right one', async () => {
  const { room, one, cache } = await open('a');
  const [wrong, right] = [room.server('wrong'), room.server('right')];
  wrong.refused.add('CONNECT');
  await expect(cache.addShard('d', { options: wrong })).rejects.toMatchObject({ code: 'SHARD_CHANGE' });
  expect(one.line('d').isClosed).toBe(true);
  expect(cache.status().shards['d']).toBeUndefined();
  await cache.addShard('d', { options: right });
  expect(cache.status().shards['d']).toMatchObject({ state: 'up', slots: 8_192, address: 'right' });
});

it('a listener that throws keeps no change from ending', async () => {
  const warned: string[] = [];
  const warnings = vi
    .spyOn(process, 'emitWarning')
    .mockImplementation((text) => void warned.push(String(text)));
  onTestFinished(() => warnings.mockRestore());
  const { cache } = await open('a', 'b');
  cache.onChange(() => {
    throw new Error('the board is broken');
  });
  await cache.drain('a');
  expect(cache.status().shards['a']).toMatchObject({ slots: 0 });
  expect(warned).toContain('a listener of shard changes threw: Error: the board is broken');
});

it('a change that is under way ends with the cache, not some leases later', async () => {
  const { one, cache } = await open('a', 'b');
  one.line('a').refuse('shards.members');
  const draining = cache.drain('b').catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closedAt = performance.now();
  await cache.disconnect();
  expect(await draining).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/u) as unknown });
  expect(performance.now() - closedAt).toBeLessThan(400);
});
