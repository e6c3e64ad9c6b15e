import { describe, expect, it } from 'vitest';
import { Probes } from './probes.js';

describe('Probes', () => {
  it('holds as many as may be under way, and makes room for each that ends', () => {
    const probes = new Probes(2, 1_000);
    expect([probes.start(1, 0), probes.start(2, 0), probes.start(3, 0)]).toEqual([true, true, false]);
    expect(probes.end(1, 10)).toBe(true);
    expect(probes.start(3, 10)).toBe(true);
  });

  it('does not know one that it never started, or that has ended already', () => {
    const probes = new Probes(2, 1_000);
    probes.start(1, 0);
    expect([probes.end(-1, 0), probes.end(7, 0), probes.end(1, 0), probes.end(1, 0)]).toEqual([
      false,
      false,
      true,
      false,
    ]);
  });

  it('gives up on one that does not answer, also when nobody has asked for its place', () => {
    const probes = new Probes(1, 1_000);
    probes.start(1, 0);
    expect(probes.start(2, 999)).toBe(false);
    expect(probes.start(2, 1_000)).toBe(true);
    expect(probes.end(1, 1_001)).toBe(false);
    expect(probes.end(2, 2_000)).toBe(false);
  });
});
