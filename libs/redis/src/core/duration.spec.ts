import { describe, expect, it } from 'vitest';
import { isDuration, parseDuration, parsePositiveDuration, type Duration } from './duration.js';

describe('parseDuration', () => {
  it.each<[Duration, number]>([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['1.5s', 1_500],
    ['0.25h', 900_000],
    ['0s', 0],
    [0, 0],
    [1, 1_000],
    [0.5, 500],
    [0.0015, 2],
    ['9000000000s', 9_000_000_000_000],
  ])('%j is %i ms', (value, ms) => {
    expect(parseDuration(value)).toBe(ms);
    expect(isDuration(value)).toBe(true);
  });

  it.each([
    ['soon'],
    ['5'],
    ['5 s'],
    ['5S'],
    ['-5s'],
    ['+5s'],
    ['5sec'],
    ['s'],
    [''],
    ['.5s'],
    ['5.s'],
    ['1e3s'],
    ['Infinitys'],
    ['9000000001s'],
    ['99999999999d'],
    ['0.1ms'],
    [-1],
    [NaN],
    [Infinity],
    [1e-9],
    [9_000_000_001],
  ])('%j is none, and the error shows it', (value) => {
    const shown = typeof value === 'string' ? `'${value}'` : String(value);
    expect(() => parseDuration(value as Duration, 'cache.ttl')).toThrow(
      `cache.ttl: ${shown} is not a duration`,
    );
    expect(isDuration(value)).toBe(false);
  });

  it.each([[undefined], [null], [{}], [[]], [true], [5n]])('%s is none either', (value) => {
    expect(isDuration(value)).toBe(false);
    expect(() => parseDuration(value as unknown as Duration)).toThrow(/is not a duration/u);
  });

  it('shows no more than the beginning of a long text', () => {
    expect(() => parseDuration('x'.repeat(1_000) as Duration)).toThrow(/^duration: 'x{40}' is not/u);
  });

  it('says how to write one', () => {
    expect(() => parseDuration('soon' as Duration)).toThrow(
      expect.objectContaining({
        code: 'INVALID_DURATION',
        hint: expect.stringContaining("'30s'") as unknown,
      }),
    );
  });
});

describe('parsePositiveDuration', () => {
  it('refuses zero too', () => {
    expect(parsePositiveDuration('1ms')).toBe(1);
    for (const zero of [0, '0s', '0ms'] as const) {
      expect(() => parsePositiveDuration(zero, 'timeout')).toThrow('timeout: ');
    }
  });
});
