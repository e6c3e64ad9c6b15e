import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../testing/fake-clock.js';
import { resolveL1, type L1Options } from './l1.options.js';
import { MemoryStore, type Holdable } from './memory-store.js';

function open(options: L1Options = {}) {
  const clock = new FakeClock();
  const resolved = resolveL1(options);
  if (resolved === false) throw new Error('it is on');
  const memory = new MemoryStore<Holdable>(resolved, clock);
  const put = (key: string, value: unknown, more: { bytes?: number; ttlMs?: number; since?: number } = {}) =>
    memory.fill(key, { value }, { since: memory.begin(), bytes: 100, ttlMs: Infinity, ...more });
  return { clock, memory, put };
}

function valueOf<T>(found: Holdable | undefined): T {
  if (found === undefined) throw new Error('it is not held');
  return found.value as T;
}

describe('what is kept', () => {
  it('gives back what was filled, counts hits and misses', () => {
    const { memory, put } = open();
    expect(memory.get('k')).toBeUndefined();
    put('k', { a: 1 });
    expect(memory.get('k')).toEqual({ value: { a: 1 } });
    expect(memory.get('k')).toBe(memory.get('k'));
    expect(memory.stats()).toMatchObject({ entries: 1, hits: 3, misses: 1 });
  });

  it.each([null, 0, '', false])('%j is a value', (value) => {
    const { memory, put } = open();
    put('k', value);
    expect(memory.get('k')).toEqual({ value });
  });

  it('an entry ends with its own expiry or with l1.ttl, whichever is sooner', () => {
    const { clock, memory, put } = open({ ttl: '10s' });
    put('short', 1, { ttlMs: 50 });
    put('long', 1);
    put('past', 1, { ttlMs: 0 });
    put('broken', 1, { ttlMs: NaN });
    expect(memory.get('past')).toBeUndefined();
    expect(memory.get('broken')).toBeUndefined();
    clock.advance(49);
    expect(memory.get('short')).toBeDefined();
    clock.advance(1);
    expect(memory.get('short')).toBeUndefined();
    clock.advance(9_949);
    expect(memory.get('long')).toBeDefined();
    clock.advance(1);
    expect(memory.get('long')).toBeUndefined();
    expect(memory.stats()).toMatchObject({ entries: 0, bytes: 0 });
  });

  it('is not moved by the wall clock', () => {
    const { clock, memory, put } = open();
    put('k', 1, { ttlMs: 1_000 });
    clock.jumpWall(86_400_000);
    expect(memory.get('k')).toBeDefined();
  });

  it('is bounded by entries: what was used least recently goes', () => {
    const { memory, put } = open({ maxEntries: 2 });
    put('a', 1);
    put('b', 1);
    memory.get('a');
    put('c', 1);
    expect([memory.get('a'), memory.get('b'), memory.get('c')].map((found) => found !== undefined)).toEqual([
      true,
      false,
      true,
    ]);
    expect(memory.stats()).toMatchObject({ entries: 2, evictions: 1 });
  });

  it('is bounded by bytes, and one value that is too large displaces nobody', () => {
    const { memory, put } = open({ maxBytes: 10_000 });
    for (let i = 0; i < 20; i += 1) put(`k${i}`, i, { bytes: 1_000 });
    expect(memory.stats().bytes).toBeLessThanOrEqual(10_000);
    const { entries } = memory.stats();
    put('huge', 1, { bytes: 1e6 });
    expect(memory.get('huge')).toBeUndefined();
    expect(memory.stats().entries).toBe(entries);
  });

  it('does not hold a key whose name Redis would announce differently', () => {
    const { memory, put } = open();
    put('lone \ud800 surrogate', 1);
    put('pair \u{1f5dd}', 1);
    expect(memory.get('lone \ud800 surrogate')).toBeUndefined();
    expect(memory.get('pair \u{1f5dd}')).toBeDefined();
  });
});

describe('invalidation', () => {
  it('removes the key, or all', () => {
    const { memory, put } = open();
    put('a', 1);
    put('b', 1);
    memory.invalidate('a');
    expect(memory.get('a')).toBeUndefined();
    expect(memory.get('b')).toBeDefined();
    memory.invalidateAll();
    expect(memory.get('b')).toBeUndefined();
    expect(memory.stats()).toMatchObject({ entries: 0, bytes: 0, invalidations: 2 });
  });

  it.each<[string, (memory: MemoryStore<Holdable>) => void]>([
    ['the key', (memory) => memory.invalidate('k')],
    ['everything', (memory) => memory.invalidateAll()],
  ])('of %s keeps out what was read before it, held or not', (_name, invalidate) => {
    const { memory, put } = open();
    const since = memory.begin();
    invalidate(memory);
    put('k', 'old', { since });
    expect(memory.get('k')).toBeUndefined();
    expect(memory.stats().lateFills).toBe(1);
    put('k', 'new');
    expect(memory.get('k')).toEqual({ value: 'new' });
  });

  it('of one key leaves reads of others alone', () => {
    const { memory, put } = open();
    const since = memory.begin();
    memory.invalidate('other');
    put('k', 1, { since });
    expect(memory.get('k')).toBeDefined();
  });

  it('is never missed, however many keys share a place', () => {
    const { memory, put } = open();
    for (let i = 0; i < 50_000; i += 1) {
      const since = memory.begin();
      memory.invalidate(`k${i}`);
      put(`k${i}`, 'old', { since });
    }
    expect(memory.stats()).toMatchObject({ entries: 0, lateFills: 50_000 });
  });

  it('costs few fills that share a place by chance', () => {
    const { memory, put } = open({ maxEntries: 100_000 });
    for (let i = 0; i < 10_000; i += 1) {
      const since = memory.begin();
      for (let j = 0; j < 16; j += 1) memory.invalidate(`other:${i}:${j}`);
      put(`k${i}`, 1, { since });
    }
    // 16 of 16,384 places.
    expect(memory.stats().lateFills).toBeLessThan(40);
  });
});

describe('isolation', () => {
  it('frozen: one value for all, which nobody can change', () => {
    const { memory, put } = open();
    const handed = put('k', { list: [1] });
    expect(handed.value).toBe(memory.get('k')?.value);
    expect(() => (handed.value as { list: number[] }).list.push(2)).toThrow(TypeError);
  });

  it('frozen: bytes are copied for every reader, the first one too', () => {
    const { memory, put } = open();
    const bytes = Buffer.from('abc');
    const handed = put('k', { bytes });
    for (const found of [handed, memory.get('k')]) valueOf<{ bytes: Buffer }>(found).bytes.fill(0);
    expect(valueOf<{ bytes: Buffer }>(memory.get('k')).bytes.toString()).toBe('abc');
  });

  it('copy: every reader has his own, the first one too', () => {
    const { memory, put } = open({ isolation: 'copy' });
    const handed = put('k', { list: [1] });
    for (const found of [handed, memory.get('k')]) valueOf<{ list: number[] }>(found).list.push(2);
    expect(memory.get('k')?.value).toEqual({ list: [1] });
  });

  it('copy: what can not be copied is not kept, and is handed on', () => {
    const { memory, put } = open({ isolation: 'copy' });
    class Secretive {
      readonly #secret = 1;
      reveal(): number {
        return this.#secret;
      }
    }
    const value = new Secretive();
    expect(put('k', value).value).toBe(value);
    expect(memory.get('k')).toBeUndefined();
    expect(memory.stats().unfit).toBe(1);
  });

  it('shared: the value itself', () => {
    const { memory, put } = open({ isolation: 'shared' });
    const value = { list: [1] };
    put('k', value);
    value.list.push(2);
    expect(memory.get('k')?.value).toBe(value);
  });
});
