/** The clean-up in an application of Nest: scheduled where there is a scheduler, stopped when the application ends. */
import 'reflect-metadata';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { Module, type INestApplicationContext, type ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRedis, RedisModule, type RedisModuleOptions } from '@anbar/nestjs-redis';
import {
  CleanupService,
  CLEANUP_INTERVAL,
  CLEANUP_DEFAULTS,
  type CleanupOptions,
} from '@anbar/nestjs-redis/cleanup';
import { onTelemetry, type TelemetryEvent } from '@anbar/nestjs-redis/core';
import { shared, until } from '../topology/index.js';

const DEAD = (namespace: string, i: number | string): string => `${namespace}:v1:lease:books:{${i}}`;

async function target(name: string, cleanup: CleanupOptions | false): Promise<RedisModuleOptions> {
  return { url: (await shared('standalone')).url, namespace: `nest-cleanup-${name}`, timeout: '5s', cleanup };
}

/** An application of these modules, and the lines of its clean-up. */
async function boot(
  metadata: ModuleMetadata,
): Promise<{ app: INestApplicationContext; log: readonly string[] }> {
  const log: string[] = [];
  const keep = (line: unknown, context: unknown): void => {
    if (context === 'RedisCleanup') log.push(String(line));
  };
  class TestModule {
    readonly name = 'the test';
  }
  Module(metadata)(TestModule);
  const logger = { log: keep, warn: keep, error: keep };
  const app = await NestFactory.createApplicationContext(TestModule, { abortOnError: false, logger });
  onTestFinished(() => app.close());
  return { app, log };
}

function listen(name: string): { events: TelemetryEvent[]; stop: () => void } {
  const events: TelemetryEvent[] = [];
  const stop = onTelemetry('cleanup', (event) => {
    if (event.name === name) events.push(event);
  });
  return { events, stop };
}

describe('with ScheduleModule', () => {
  it('runs by itself, under a name that SchedulerRegistry knows, and tells what it did', async () => {
    // Other tests keep thousands of keys on that server: a run that takes longer than a second is met by the next one.
    const options = await target('runs', { every: '1s', maxLatency: '1m', budgetPerSecond: 1_000_000 });
    const { app, log } = await boot({ imports: [ScheduleModule.forRoot(), RedisModule.forRoot(options)] });
    const registry = app.get(SchedulerRegistry);
    expect(registry.doesExist('interval', CLEANUP_INTERVAL)).toBe(true);
    const { client } = await plantDead(options, 3);
    const completed = listen('cleanup.completed');
    try {
      const removing = await until(
        () => completed.events.find(({ attributes }) => attributes?.['removed.lease'] === 3),
        { what: 'a run that removed them' },
      );
      expect(removing.outcome).toBe('ok');
      expect(log.some((line) => /^the clean-up is done: \d+ keys, removed 3 lease in/u.test(line))).toBe(
        true,
      );
      expect(await client.command('EXISTS', [DEAD('nest-cleanup-runs', 0)])).toBe(0);
    } finally {
      completed.stop();
      await client.disconnect();
    }
    await app.close();
    expect(registry.doesExist('interval', CLEANUP_INTERVAL)).toBe(false);
  });

  it('stops a run that is under way when the application ends', async () => {
    // At this pace the keys would take minutes.
    const options = await target('stops', {
      every: '1s',
      budgetPerSecond: 1,
      maxLatency: '1m',
      progressEvery: '1ms',
    });
    const { app } = await boot({ imports: [ScheduleModule.forRoot(), RedisModule.forRoot(options)] });
    const [progress, completed] = [listen('cleanup.progress'), listen('cleanup.completed')];
    try {
      await until(() => progress.events.length > 0, { what: 'a run to be under way' });
      const startedAt = performance.now();
      await app.close();
      expect(completed.events.map(({ outcome }) => outcome)).toEqual(['aborted']);
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    } finally {
      progress.stop();
      completed.stop();
    }
  });

  it('does not schedule it where it is told not to, and can still be run by hand', async () => {
    const options = await target('by-hand', false);
    const { app, log } = await boot({ imports: [ScheduleModule.forRoot(), RedisModule.forRoot(options)] });
    expect(app.get(SchedulerRegistry).getIntervals()).toEqual([]);
    expect(log).toEqual([]);
    const { client } = await plantDead(options, 1);
    expect(await app.get(CleanupService).run()).toMatchObject({ outcome: 'ok', removed: { lease: 1 } });
    await client.disconnect();
  });
});

it('says in one line that nothing schedules it, and how that is done', async () => {
  const { url } = await shared('standalone');
  const { app, log } = await boot({ imports: [RedisModule.forRoot({ url })] });
  expect(log).toEqual([
    'the clean-up of keys is not scheduled: import ScheduleModule.forRoot(); or say cleanup: false, ' +
      'and call CleanupService.run() yourself',
  ]);
  expect((await boot({ imports: [RedisModule.forRoot({ topology: 'embedded' })] })).log).toEqual([]);
  expect(app.get(CleanupService).settings).toMatchObject({
    everyMs: 3_600_000,
    budgetPerSecond: CLEANUP_DEFAULTS.budgetPerSecond,
  });
});

async function plantDead(options: RedisModuleOptions, count: number) {
  const redis = createRedis({ ...options, cleanup: false }, {});
  await redis.connect();
  const client = redis.adapter.port;
  for (let i = 0; i < count; i += 1) {
    await client.command('SET', [DEAD(options.namespace ?? '', i), `+${'a'.repeat(20)}`]);
  }
  return { client };
}
