import { expect, it } from 'vitest';
import { CLEANUP_DEFAULTS, resolveCleanup } from './cleanup.options.js';

it('has a default for everything, and schedules unless it is told not to', () => {
  const defaults = {
    scheduled: true,
    everyMs: 3_600_000,
    budgetPerSecond: CLEANUP_DEFAULTS.budgetPerSecond,
    maxLatencyMs: 50,
    dryRun: false,
    progressMs: 60_000,
  };
  expect(resolveCleanup()).toEqual(defaults);
  expect(resolveCleanup({ every: undefined, maxLatency: undefined })).toEqual(defaults);
  expect(resolveCleanup(false)).toEqual({ ...defaults, scheduled: false });
  const given = {
    every: '5m',
    budgetPerSecond: 7,
    maxLatency: '3ms',
    dryRun: true,
    progressEvery: 1,
  } as const;
  expect(resolveCleanup(given)).toEqual({
    scheduled: true,
    everyMs: 300_000,
    budgetPerSecond: 7,
    maxLatencyMs: 3,
    dryRun: true,
    progressMs: 1_000,
  });
});

it.each([
  [{ budgetPerSecond: 0 }, 'cleanup.budgetPerSecond: 0 is not'],
  [{ budgetPerSecond: 1.5 }, 'cleanup.budgetPerSecond: 1.5 is not'],
  [{ every: '10ms' }, "cleanup.every: '10ms' is shorter"],
  [{ maxLatency: '0s' }, 'cleanup.maxLatency'],
] as const)('refuses %o', (options, problem) => {
  expect(() => resolveCleanup(options)).toThrow(problem);
});
