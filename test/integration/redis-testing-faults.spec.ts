/** `redis.fail`, `partition` and `heal` reach everybody: tasks, health, and whoever listens to the connection. */
import { Injectable } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { CacheService, FallbackCache, RedisAdapter, RedisModule, ShardedCache } from '@anbar/nestjs-redis';
import { HealthMonitor } from '@anbar/nestjs-redis/monitoring';
import { Task, type RunningTask, type TaskQueue } from '@anbar/nestjs-redis/tasks';
import type { Fault, TestRedis } from '@anbar/nestjs-redis/testing';
import { until } from '../topology/index.js';
import { NOWHERE, overridden, startTested } from './redis-testing-stage.js';

describe('tasks', () => {
  it.each<[string, (tasks: TaskQueue) => Promise<unknown>]>([
    ['add', (tasks) => tasks.add('mail', {})],
    ['schedule', (tasks) => tasks.schedule('nightly', 'mail', { every: '1h' })],
    ['unschedule', (tasks) => tasks.unschedule('nightly')],
    ['find', (tasks) => tasks.find('first')],
    ['counts', (tasks) => tasks.counts()],
    ['failed', (tasks) => tasks.failed()],
    ['retry', (tasks) => tasks.retry('first')],
    ['remove', (tasks) => tasks.remove('first')],
  ])('%s rejects as it does on Redis that is away, and has done nothing', async (_name, call) => {
    const { redis, tasks } = await startTested();
    await tasks.add('mail', {}, { id: 'first' });
    const before = await tasks.counts();
    redis.fail('connection');
    await expect(call(tasks)).rejects.toMatchObject({
      code: 'TASK_NOT_ADDED',
      cause: { code: 'NOT_CONNECTED' },
    });
    redis.heal();
    expect(await tasks.counts()).toEqual(before);
    await expect(call(tasks)).resolves.not.toThrow();
  });

  it('of a partition are told within four deadlines, as on Redis', async () => {
    const { redis, tasks } = await startTested({ timeout: '100ms' });
    const from = redis.clock.now();
    redis.partition();
    await expect(tasks.add('mail', {})).rejects.toMatchObject({ code: 'TASK_NOT_ADDED' });
    expect(redis.clock.now() - from).toBe(400);
    redis.heal();
    expect(await tasks.counts()).toMatchObject({ waiting: 0 });
  });

  it('fail by their connection, and not by another one', async () => {
    const { redis, tasks } = await startTested({ connections: { reports: NOWHERE } });
    redis.only('reports').fail('connection');
    await tasks.add('mail', {});
    redis.only('default').fail('oom');
    await expect(tasks.add('mail', {})).rejects.toMatchObject({ cause: { kind: 'OOM' } });
  });

  @Injectable()
  class Mails {
    readonly sent: unknown[] = [];

    @Task('testing-mail')
    send({ data }: RunningTask): void {
      this.sent.push(data);
    }
  }

  it.each<[string, (redis: TestRedis) => void]>([
    ['a partition', (redis) => redis.partition()],
    ['a lost connection', (redis) => redis.fail('connection')],
    ['a server that answers nothing in time', (redis) => redis.fail('timeout')],
  ])('wait for the end of %s, and are done then', async (_name, strike) => {
    const { app, redis, tasks } = await startTested({}, [Mails]);
    const { sent } = app.get(Mails);
    await tasks.add('testing-mail', 'now');
    await tasks.add('testing-mail', 'later', { delay: '1m' });
    await redis.clock.advance(0);
    expect(sent).toEqual(['now']);
    strike(redis);
    await redis.clock.advance('1h');
    expect(sent).toEqual(['now']);
    redis.heal();
    await redis.clock.advance('1s');
    expect(sent).toEqual(['now', 'later']);
  });

  it('that are under way go on, and what they add meanwhile is refused', async () => {
    let go: (() => void) | undefined;
    const { redis, tasks } = await startTested();
    const worker = tasks.work(
      new Map([
        [
          'slow',
          async () => {
            await new Promise<void>((resolve) => (go = resolve));
            return tasks.add('next', {}).then(String, (error: Error) => error.name);
          },
        ],
      ]),
    );
    await tasks.add('slow', {}, { id: 'one' });
    await until(() => go !== undefined, { what: 'the begin of the task' });
    redis.fail('connection');
    go?.();
    await redis.clock.advance(0);
    redis.heal();
    expect(await tasks.find('one')).toMatchObject({ state: 'completed', result: 'TaskNotAddedError' });
    await worker.close();
  });
});

describe('the end of an outage', () => {
  const OUTAGES: [string, (redis: TestRedis) => void][] = [
    ['a partition', (redis) => redis.partition()],
    ['a lost connection', (redis) => redis.fail('connection')],
  ];

  it.each(OUTAGES)('is told to those who listen to the connection: %s', async (_name, strike) => {
    const { app, redis } = await startTested();
    const { port } = app.get(RedisAdapter);
    const heard: string[] = [];
    port.on('lost', () => void heard.push('lost'));
    port.on('ready', () => void heard.push('ready'));
    strike(redis);
    expect(port.status().health).toBe('down');
    redis.heal();
    redis.heal();
    expect(port.status().health).toBe('up');
    expect(heard).toEqual(['lost', 'ready']);
  });

  it.each(OUTAGES)('brings the fallback back at once: %s', async (_name, strike) => {
    const { app, redis } = await startTested({ cache: { l1: false } });
    const fallback = app.get(FallbackCache);
    await fallback.set('k', 'before');
    strike(redis);
    await fallback.delete('k');
    // Long enough for the pauses between its own looks to be a second.
    for (let i = 0; i < 20; i += 1) await redis.clock.advance('1s');
    expect(fallback.state.mode).toBe('fallback');
    redis.heal();
    await redis.clock.advance(0);
    expect(fallback.state.mode).toBe('redis');
    expect(await fallback.get('k')).toBeUndefined();
  });

  it.each(OUTAGES)('lets a shard be read again at once: %s', async (_name, strike) => {
    const { app, redis } = await startTested({ shards: { a: NOWHERE, b: NOWHERE }, cache: { l1: false } });
    const sharded = app.get(ShardedCache);
    await sharded.connect();
    await sharded.set('k', 'kept');
    strike(redis);
    expect(await sharded.get('k')).toBeUndefined();
    redis.heal();
    await new Promise((resolve) => setImmediate(resolve));
    expect(await sharded.get('k')).toBe('kept');
  });

  it.each(OUTAGES)('leaves copies in the process in doubt meanwhile: %s', async (_name, strike) => {
    const { app, redis } = await startTested();
    const cache = app.get(CacheService);
    const outcomes: string[] = [];
    const read = () => cache.getOrSet('k', () => 'new', { onOutcome: (outcome) => outcomes.push(outcome) });
    await cache.set('k', 'kept');
    await read();
    await read();
    strike(redis);
    await read();
    redis.heal();
    await read();
    await read();
    expect(outcomes).toEqual(['l2', 'l1', 'stale', 'l2', 'l1']);
  });

  it.each(OUTAGES)('and its begin are told to subscribers: %s', async (_name, strike) => {
    const { app, redis } = await startTested();
    const { port } = app.get(RedisAdapter);
    const heard: string[] = [];
    const subscription = port.subscribe({
      channels: ['c'],
      onMessage: () => undefined,
      onLost: () => void heard.push('lost'),
      onGap: () => void heard.push('gap'),
    });
    await subscription.ready;
    strike(redis);
    redis.heal();
    expect(heard).toEqual(['lost', 'gap']);
    await subscription.close();
  });
});

describe('health', () => {
  it.each<[Fault, 'degraded' | 'down']>([
    ['connection', 'down'],
    ['timeout', 'down'],
    ['loading', 'down'],
  ])("is right the moment after fail('%s'), and after heal", async (fault, state) => {
    const { app, redis } = await startTested();
    const monitor = app.get(HealthMonitor);
    expect((await monitor.check()).connections['default']).toMatchObject({ state: 'up' });
    redis.fail(fault);
    expect((await monitor.check()).connections['default']).toMatchObject({ state });
    redis.heal();
    expect((await monitor.check()).connections['default']).toMatchObject({ state: 'up' });
  });

  it('keeps an answer as long as a test wants it to', async () => {
    const { app, redis } = await startTested({ health: { cacheFor: '10s' } });
    const monitor = app.get(HealthMonitor);
    await monitor.check();
    redis.fail('timeout');
    expect(await monitor.check()).toMatchObject({ state: 'up' });
    await redis.clock.advance('10s');
    expect(await monitor.check()).toMatchObject({ state: 'down' });
  });
});

describe('a boot without Redis', () => {
  it.each(['partition', 'connection'] as const)(
    'fails where a connection is required: %s',
    async (outage) => {
      const { redis, compile } = overridden({
        imports: [RedisModule.forRoot({ ...NOWHERE, connect: 'required' })],
      });
      if (outage === 'partition') redis.partition();
      else redis.fail('connection');
      await expect(compile()).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    },
  );

  it('goes on where it is not, and uses Redis once that is there', async () => {
    const { redis, compile } = overridden({ imports: [RedisModule.forRoot(NOWHERE)] });
    redis.partition();
    const app = await compile();
    const adapter = app.get(RedisAdapter);
    await expect(adapter.get('k')).rejects.toMatchObject({ code: 'COMMAND_TIMEOUT' });
    redis.heal();
    await expect(adapter.get('k')).resolves.toBeUndefined();
  });
});
