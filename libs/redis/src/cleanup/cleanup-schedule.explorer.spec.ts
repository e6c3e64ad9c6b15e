import { SchedulerRegistry } from '@nestjs/schedule';
import type { ModuleRef } from '@nestjs/core';
import { expect, it, onTestFinished, vi } from 'vitest';
import { CleanupSchedule } from './cleanup-schedule.explorer.js';
import type { CleanupService } from './cleanup-service.js';
import { resolveCleanup } from './cleanup.options.js';

it.each([
  ['1h', 900_000],
  ['100d', 2_160_000_000],
  ['365d', 7_884_000_000],
] as const)('with every %s it looks after that time divided by four or after 24 days', async (every, due) => {
  const setTimer = vi.spyOn(globalThis, 'setInterval');
  onTestFinished(() => void vi.restoreAllMocks());
  const service = {
    settings: resolveCleanup({ every }),
    close: () => Promise.resolve(),
  } as unknown as CleanupService;
  const modules = { get: () => new SchedulerRegistry() } as unknown as ModuleRef;
  const schedule = new CleanupSchedule(service, modules);
  await schedule.onApplicationBootstrap();
  await schedule.onModuleDestroy();
  expect(setTimer.mock.calls.map(([, ms]) => ms)).toEqual([Math.min(due, 2 ** 31 - 1)]);
});
