import { describe, expect, it } from 'vitest';
import { resolveL1, type L1Options } from './l1.options.js';

describe('resolveL1', () => {
  it('fills in the defaults, and is off only when told', () => {
    const byDefault = {
      maxEntries: 10_000,
      maxBytes: 67_108_864,
      ttlMs: 60_000,
      isolation: 'frozen',
      sync: 'auto',
      busTtlMs: 10_000,
    };
    expect(resolveL1()).toEqual(byDefault);
    expect(resolveL1({ ttl: 5, sync: 'bus' })).toEqual({ ...byDefault, ttlMs: 5_000, sync: 'bus' });
    expect(resolveL1(false)).toBe(false);
  });

  it.each<[L1Options, string]>([
    [{ maxEntries: 0 }, 'l1.maxEntries: 0'],
    [{ maxEntries: 1.5 }, 'l1.maxEntries: 1.5'],
    [{ maxBytes: NaN }, 'l1.maxBytes: NaN'],
    [{ ttl: '0s' }, 'l1.ttl'],
    [{ busTtl: '0s' }, 'l1.busTtl'],
    [{ isolation: 'none' as 'shared' }, "l1.isolation: 'none'"],
    [{ sync: 'pigeon' as 'bus' }, "l1.sync: 'pigeon'"],
  ])('refuses %j', (options, message) => {
    expect(() => resolveL1(options)).toThrow(message);
  });
});
