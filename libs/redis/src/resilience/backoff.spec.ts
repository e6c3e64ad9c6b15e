import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { equalJitter, fullJitter } from './backoff.js';

const highest = () => 1 - Number.EPSILON;
const lowest = () => 0;

describe('fullJitter', () => {
  it.each([
    [0, 10],
    [1, 20],
    [2, 40],
    [3, 80],
    [4, 100],
    [2_000, 100],
  ])('retry %i waits between 0 and %i ms', (retry, most) => {
    expect(fullJitter({ baseMs: 10, maxMs: 100 }, lowest)(retry)).toBe(0);
    expect(fullJitter({ baseMs: 10, maxMs: 100 }, highest)(retry)).toBeCloseTo(most);
  });

  it('is never NaN when there is to be no delay, however often it failed', () => {
    expect(fullJitter({ baseMs: 0, maxMs: 100 }, highest)(5_000)).toBe(0);
  });
});

describe('equalJitter', () => {
  it.each([
    [0, 50],
    [1, 50],
    [2, 100],
    [3, 200],
    [7, 2_000],
    [5_000, 2_000],
  ])('after %i failures waits between half and all of %i ms', (failures, most) => {
    expect(equalJitter({ baseMs: 50, maxMs: 2_000 }, lowest)(failures)).toBe(most / 2);
    expect(equalJitter({ baseMs: 50, maxMs: 2_000 }, highest)(failures)).toBeCloseTo(most);
  });
});

it('stays within its range for any base, maximum and count', () => {
  const amounts = fc.record({
    baseMs: fc.nat(1e6),
    maxMs: fc.nat(1e9),
    count: fc.nat(),
    part: fc.double({ min: 0, max: 0.999, noNaN: true }),
  });
  fc.assert(
    fc.property(amounts, ({ baseMs, maxMs, count, part }) => {
      const retry = fullJitter({ baseMs, maxMs }, () => part)(count);
      const reconnect = equalJitter({ baseMs, maxMs }, () => part)(count);
      expect(retry).toBeGreaterThanOrEqual(0);
      expect(retry).toBeLessThanOrEqual(maxMs);
      expect(reconnect).toBeGreaterThanOrEqual(Math.min(baseMs, maxMs) / 2);
      expect(reconnect).toBeLessThanOrEqual(maxMs);
    }),
  );
});
