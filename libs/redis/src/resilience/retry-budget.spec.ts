import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../testing/fake-clock.js';
import { RetryBudget } from './retry-budget.js';

/** `FC_SEED=<the seed it printed> npx vitest run <this file>` runs a failure again. */
const SEED = process.env['FC_SEED'];
const RUNS = { numRuns: 300, ...(SEED === undefined ? {} : { seed: Number(SEED) }) };

const TRIES = 3;

/** A call that fails each time it is tried; answers with the retries it made. */
function failingCall(budget: RetryBudget): number {
  budget.onCall();
  for (let retries = 0; retries < TRIES - 1; retries += 1) {
    if (!budget.tryTake()) return retries;
  }
  return TRIES - 1;
}

function fill(budget: RetryBudget): void {
  for (let call = 0; call < 1_000; call += 1) budget.onSuccess();
}

describe('RetryBudget', () => {
  it('starts with one token, so that the first failure of a process may be tried again', () => {
    const budget = new RetryBudget({ ratio: 0.1 }, new FakeClock());
    expect([budget.tryTake(), budget.tryTake()]).toEqual([true, false]);
  });

  it('earns a retry with every ten successes, exactly', () => {
    const budget = new RetryBudget({ ratio: 0.1 }, new FakeClock());
    budget.tryTake();
    for (let call = 0; call < 9; call += 1) budget.onSuccess();
    expect(budget.tryTake()).toBe(false);
    budget.onSuccess();
    expect(budget.tokens).toBe(1);
    expect(budget.tryTake()).toBe(true);
  });

  it('saves up no more than ten', () => {
    const budget = new RetryBudget({ ratio: 0.5 }, new FakeClock());
    fill(budget);
    expect(budget.tokens).toBe(10);
  });

  it('lets one retry per second through while nothing succeeds, however many calls there are', () => {
    const clock = new FakeClock();
    const budget = new RetryBudget({ ratio: 0.1 }, clock);
    let retries = -1; // the token it started with
    for (let call = 0; call < 60_000; call += 1) {
      retries += failingCall(budget);
      clock.advance(1);
    }
    expect(retries).toBeGreaterThanOrEqual(58);
    expect(retries).toBeLessThanOrEqual(60);
  });

  it('gives nothing for time alone', () => {
    const clock = new FakeClock();
    const budget = new RetryBudget({ ratio: 0.1 }, clock);
    budget.tryTake();
    clock.advance(3_600_000);
    expect(budget.tokens).toBe(0);
  });

  it('lets a burst of the past pay for one token of floor and no more', () => {
    const clock = new FakeClock();
    const budget = new RetryBudget({ ratio: 0.1 }, clock);
    budget.tryTake();
    for (let call = 0; call < 100_000; call += 1) budget.onCall();
    clock.advance(3_600_000);
    expect(budget.tokens).toBe(1);
  });

  it('is not moved by the wall clock', () => {
    const clock = new FakeClock();
    const budget = new RetryBudget({ ratio: 0.1 }, clock);
    budget.tryTake();
    for (let call = 0; call < 100; call += 1) budget.onCall();
    clock.jumpWall(3_600_000);
    expect(budget.tokens).toBe(0);
  });

  it('forbids every retry with a ratio of 0', () => {
    const clock = new FakeClock();
    const budget = new RetryBudget({ ratio: 0 }, clock);
    for (let call = 0; call < 100; call += 1) {
      budget.onSuccess();
      budget.onCall();
      clock.advance(1_000);
    }
    expect(budget.tryTake()).toBe(false);
  });

  it.each([-0.1, 1.5, Number.NaN])('refuses a ratio of %d and says so', (ratio) => {
    expect(() => new RetryBudget({ ratio }, new FakeClock())).toThrow(String(ratio));
  });
});

describe('amplification while every call fails', () => {
  const gaps = fc.array(fc.oneof(fc.constant(0), fc.nat(5), fc.nat(100), fc.nat(5_000)), {
    minLength: 300,
    maxLength: 900,
  });
  const ratios = fc.constantFrom(0.05, 0.1, 0.2, 0.5);

  it('stays within 1 + ratio from the (1 / ratio)th call on, at any pace', () => {
    fc.assert(
      fc.property(gaps, ratios, (pauses, ratio) => {
        const clock = new FakeClock();
        const budget = new RetryBudget({ ratio }, clock);
        let retries = 0;
        for (const [index, pause] of pauses.entries()) {
          clock.advance(pause);
          retries += failingCall(budget);
          const calls = index + 1;
          if (calls >= 1 / ratio) expect(retries).toBeLessThanOrEqual(ratio * calls);
        }
      }),
      RUNS,
    );
  });

  it('stays within 1 + ratio from the (22 / ratio)th call on, when it meets a full bucket', () => {
    fc.assert(
      fc.property(gaps, ratios, (pauses, ratio) => {
        const clock = new FakeClock();
        const budget = new RetryBudget({ ratio }, clock);
        fill(budget);
        for (let call = 0; call < 100; call += 1) budget.onCall();
        let retries = 0;
        for (const [index, pause] of pauses.entries()) {
          clock.advance(pause);
          retries += failingCall(budget);
          const calls = index + 1;
          if (calls >= 22 / ratio) expect(retries).toBeLessThanOrEqual(ratio * calls);
        }
      }),
      RUNS,
    );
  });

  it.each([0.2, 1, 5, 10, 100, 1_000, 10_000])(
    'is at most 1.1 over an hour of %d calls a second',
    (perSecond) => {
      const clock = new FakeClock();
      const budget = new RetryBudget({ ratio: 0.1 }, clock);
      const calls = Math.min(100_000, 3_600 * perSecond);
      let executions = 0;
      for (let call = 0; call < calls; call += 1) {
        executions += 1 + failingCall(budget);
        clock.advance(1_000 / perSecond);
      }
      expect(executions / calls).toBeLessThanOrEqual(1.1);
    },
  );
});
