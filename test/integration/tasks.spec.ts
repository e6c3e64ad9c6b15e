/** Tasks in an application: handlers found, done and drained; and a producer whose Redis is away. */
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { BullModule } from '@nestjs/bullmq';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createRedis, RedisModule } from '@anbar/nestjs-redis';
import { Task, TASK_QUEUE, type RunningTask, type TaskQueue } from '@anbar/nestjs-redis/tasks';
import { admin, shared, startStandalone, until } from '../topology/index.js';
import { boot, bootFailure } from './boot.js';

declare module '@anbar/nestjs-redis/tasks' {
  interface TaskTypes {
    'test.invoice': { order: number };
  }
}

@Injectable()
class Billing {
  readonly done: number[] = [];

  @Task('test.invoice')
  async invoice({ data }: RunningTask<{ order: number }>): Promise<{ pages: number }> {
    await new Promise((resolve) => setTimeout(resolve, 30));
    this.done.push(data.order);
    return { pages: 1 };
  }
}

describe.each(['embedded', 'standalone'] as const)('in an application on %s', (place) => {
  const target = async () =>
    place === 'embedded' ? ({ topology: 'embedded' } as const) : { url: (await shared('standalone')).url };

  it('methods with @Task do the tasks of their name, and what is under way ends before the shutdown', async () => {
    const redis = RedisModule.forRoot({
      ...(await target()),
      tasks: { queue: `app-${process.pid}-${place}` },
    });
    const { app } = await boot({ imports: [redis], providers: [Billing] });
    const queue = app.get<TaskQueue>(TASK_QUEUE);
    const { id } = await queue.add('test.invoice', { order: 7 });
    await until(async () => (await queue.find(id))?.state === 'completed', { what: 'the invoice' });
    expect((await queue.find(id))?.result).toEqual({ pages: 1 });
    const last = await queue.add('test.invoice', { order: 8 });
    await until(async () => (await queue.find(last.id))?.state !== 'waiting', { what: 'it to begin' });
    const billing = app.get(Billing);
    await app.close();
    expect(billing.done).toEqual([7, 8]);
  });

  it('two handlers of one name are refused at boot', async () => {
    class Other extends Billing {}
    Injectable()(Other);
    const redis = RedisModule.forRoot(await target());
    const failure = await bootFailure({ imports: [redis], providers: [Billing, Other] });
    expect(failure).toMatchObject({ code: 'INVALID_TASK' });
    expect(failure.message).toContain("two methods do the task 'test.invoice'");
  });
});

it('without Redis whoever adds a task is told in time, and what was refused is not added later', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const redis = createRedis({ url: server.url, tasks: { queue: 'away' } }, {});
  onTestFinished(() => redis.disconnect());
  await redis.tasks.add('t', 1);
  await server.process.kill();
  for (let i = 0; i < 20; i += 1) {
    const startedAt = performance.now();
    await expect(redis.tasks.add('t', i)).rejects.toMatchObject({ code: 'TASK_NOT_ADDED' });
    expect(performance.now() - startedAt).toBeLessThan(1_400);
  }
  await server.process.restart('empty');
  await until(async () => redis.tasks.add('t', 'back').then(() => true), { what: 'the queue to be back' });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect((await redis.tasks.counts()).waiting).toBe(1);
});

it('works beside @nestjs/bullmq', async () => {
  const { host, port, url } = await shared('standalone');
  class Both {
    readonly name = 'both';
  }
  Module({
    imports: [
      RedisModule.forRoot({ url, tasks: { queue: `beside-${process.pid}` } }),
      BullModule.forRoot({ connection: { host, port } }),
      BullModule.registerQueue({ name: 'theirs' }),
    ],
    providers: [Billing],
  })(Both);
  const { app } = await boot({ imports: [Both] });
  const queue = app.get<TaskQueue>(TASK_QUEUE, { strict: false });
  const { id } = await queue.add('test.invoice', { order: 1 });
  await until(async () => (await queue.find(id))?.state === 'completed', { what: 'the invoice' });
});

it('a task that is said to be completed has its result, however closely it is watched', async () => {
  const { url } = await shared('standalone');
  const redis = createRedis({ url, namespace: 'watched', tasks: { queue: 'watched' } }, {});
  onTestFinished(() => redis.disconnect());
  const worker = redis.tasks.work(new Map([['echo', ({ data }: RunningTask) => data]]), { concurrency: 8 });
  onTestFinished(() => worker.close());
  const watched = Array.from({ length: 200 }, async (_, i) => {
    const { id } = await redis.tasks.add('echo', i);
    for (;;) {
      const found = await redis.tasks.find(id);
      if (found?.state === 'completed') return found;
    }
  });
  const ended = await Promise.all(watched);
  expect(ended.map(({ result, attempts }) => [result, attempts])).toEqual(ended.map((_, i) => [i, 1]));
}, 30_000);

it('a worker ends after its last task also while its connection waits for the next attempt to connect', async () => {
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const redis = createRedis({ url: server.url, tasks: { queue: 'cut-off', concurrency: 2 } }, {});
  onTestFinished(() => redis.disconnect());
  let done = false;
  const book = async (): Promise<void> => {
    await pause(3_000);
    done = true;
  };
  const worker = redis.tasks.work(new Map([['book', book]]));
  await worker.ready;
  const { id } = await redis.tasks.add('book', 1);
  await until(async () => (await redis.tasks.find(id))?.state === 'active', { what: 'it to begin' });
  const blocked = async () =>
    /id=(\d+) .*cmd=bzpopmin/u.exec(String(await admin(server.port, 'CLIENT', 'LIST')))?.[1];
  const client = await until(blocked, { what: 'the worker to wait for another task' });
  // The longest wait before an attempt.
  vi.spyOn(Math, 'random').mockReturnValue(0.99);
  onTestFinished(() => void vi.restoreAllMocks());
  await admin(server.port, 'CLIENT', 'KILL', 'ID', client);
  await pause(10);
  const startedAt = performance.now();
  await worker.close({ drain: '30s' });
  expect(done).toBe(true);
  expect(performance.now() - startedAt).toBeLessThan(8_000);
  expect((await redis.tasks.find(id))?.state).toBe('completed');
});
