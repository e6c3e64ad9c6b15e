import { describe, expect, it } from 'vitest';
import { OutcomeWindow } from './outcome-window.js';

describe('OutcomeWindow', () => {
  it('counts what has happened', () => {
    const window = new OutcomeWindow(10_000);
    window.add('ok', 0);
    window.add('slow', 10);
    window.add('failed', 20);
    expect([window.calls, window.failures, window.slow]).toEqual([3, 1, 1]);
  });

  it('lets the oldest tenth go when a new one begins', () => {
    const window = new OutcomeWindow(10_000);
    window.add('failed', 500);
    window.add('failed', 1_500);
    window.add('ok', 9_999);
    expect(window.failures).toBe(2);
    window.add('ok', 10_000);
    expect(window.failures).toBe(1);
    window.add('ok', 11_000);
    expect(window.failures).toBe(0);
  });

  it('is empty after a silence of a whole window or of any longer time', () => {
    for (const silence of [10_000, 13_000, 20_000, 604_000, 3_600_000]) {
      const window = new OutcomeWindow(10_000);
      for (let call = 0; call < 9; call += 1) window.add('failed', 100);
      window.add('failed', 100 + silence);
      expect([window.calls, window.failures, window.streak]).toEqual([1, 1, 1]);
    }
  });

  it('keeps a row of failures that is longer than the window', () => {
    const window = new OutcomeWindow(10_000);
    for (let second = 0; second <= 15; second += 3) window.add('failed', second * 1_000);
    expect(window.streak).toBe(6);
    window.add('slow', 15_000);
    expect(window.streak).toBe(0);
  });

  it('forgets everything when it is cleared', () => {
    const window = new OutcomeWindow(10_000);
    window.add('failed', 0);
    window.clear();
    expect([window.calls, window.failures, window.slow, window.streak]).toEqual([0, 0, 0, 0]);
    window.add('ok', 1);
    expect(window.calls).toBe(1);
  });
});
