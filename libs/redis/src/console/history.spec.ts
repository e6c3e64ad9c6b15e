import { describe, expect, it } from 'vitest';
import { History, STEP_MS, STEPS } from './history.js';

const NOON = Date.UTC(2026, 0, 1, 12);

function filled(values: readonly number[], series = 'reads'): History {
  const history = new History(10, new Set(['p99']));
  values.forEach((value, i) => {
    history.begin(NOON + i * STEP_MS);
    history.write(series, value);
  });
  return history;
}

describe('a ring of steps', () => {
  it('gives the last of them, oldest first', () => {
    expect(filled([1, 2, 3, 4]).read('reads', 3)).toEqual([2, 3, 4]);
    expect(filled([1, 2]).read('reads', 5)).toEqual([1, 2]);
    expect(filled([1, 2]).sum('reads', 5)).toBe(3);
    expect(filled([]).read('reads', 5)).toEqual([]);
  });

  it('keeps an hour and no more', () => {
    const history = filled(Array.from({ length: STEPS + 10 }, (_, i) => i + 1));
    const all = history.read('reads', STEPS + 100);
    expect(all).toHaveLength(STEPS);
    expect([all[0], all.at(-1)]).toEqual([11, STEPS + 10]);
    expect(history.bytes).toBe(STEPS * 8);
  });

  it('knows nothing of steps in which the process stood still', () => {
    const history = filled([1]);
    history.begin(NOON + 4 * STEP_MS);
    history.write('reads', 5);
    expect(history.read('reads', 5)).toEqual([1, null, null, null, 5]);
    history.begin(NOON + (STEPS + 500) * STEP_MS);
    history.write('reads', 6);
    expect(history.read('reads', STEPS).filter((value) => value !== null)).toEqual([6]);
  });

  it('goes on when the clock was set back', () => {
    const history = filled([1, 2]);
    const { last } = history;
    expect(history.begin(NOON - 3_600_000)).toBe(last + 1);
    history.write('reads', 3);
    expect(history.read('reads', 3)).toEqual([1, 2, 3]);
  });

  it('holds a series that begins late for silent before, and a measured one for unknown', () => {
    const history = filled([0, 0]);
    history.begin(NOON + 2 * STEP_MS);
    history.write('reads', 7);
    history.write('p99', 1.23456);
    expect(history.read('reads', 3)).toEqual([0, 0, 7]);
    expect(history.read('p99', 3)).toEqual([null, null, 1.235]);
    expect(history.read('never', 3)).toEqual([0, 0, 0]);
  });

  it('takes memory for series that say something, and only so many', () => {
    const history = filled([1]);
    for (let i = 0; i < 20; i += 1) history.write(`further-${i}`, i);
    expect(history.series).toBe(10);
    expect(history.read('further-0', 1)).toEqual([0]);
    expect(history.read('further-19', 1)).toEqual([0]);
  });
});
