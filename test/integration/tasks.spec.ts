/** Tasks in an application: handlers found, done and drained; and a producer whose Redis is away. */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { BullModule } from '@nestjs/bullmq';
import { Queue, Worker, type Job } from 'bullmq';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createRedis, RedisModule } from '@anbar/nestjs-redis';
import {
  parseCron,
  PermanentTaskError,
  Task,
  TASK_QUEUE,
  type RunningTask,
  type TaskQueue,
} from '@anbar/nestjs-redis/tasks';
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

  it('a provider that has two tokens has its handlers once', async () => {
    const redis = RedisModule.forRoot({
      ...(await target()),
      tasks: { queue: `alias-${process.pid}-${place}` },
    });
    const providers = [Billing, { provide: 'BILLING', useExisting: Billing }];
    const { app } = await boot({ imports: [redis], providers });
    const queue = app.get<TaskQueue>(TASK_QUEUE);
    const { id } = await queue.add('test.invoice', { order: 9 });
    await until(async () => (await queue.find(id))?.state === 'completed', { what: 'the invoice' });
  });

  it('a number of tasks at once that is none is refused', async () => {
    const redis = createRedis(await target(), {});
    onTestFinished(() => redis.disconnect());
    for (const concurrency of [0, -1, 1.5, Number.NaN]) {
      const work = (): unknown => redis.tasks.work(new Map([['t', () => undefined]]), { concurrency });
      expect(work).toThrow(/concurrency/u);
    }
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

describe.each(['embedded', 'standalone'] as const)('without Nest on %s', (place) => {
  it('a task under way at the shutdown may still publish, lock, cache and add', async () => {
    const target = place === 'embedded' ? { topology: place } : { url: (await shared('standalone')).url };
    const redis = createRedis({ ...target, tasks: { queue: `leaving-${process.pid}` } }, {});
    let outcome: unknown = 'not there yet';
    const leave = async (): Promise<void> => {
      await pause(200);
      await redis.pubsub.publish('leaving', 1);
      await redis.cache.set('leaving', 1, { ttl: '1m' });
      await redis.limiter.peek('somebody', { name: 'leaving', limit: 1, window: '1m' });
      const locked = await redis.locks.run('leaving', { ttl: '5s' }, () => Promise.resolve('locked'));
      outcome = [locked, (await redis.tasks.add('next', 1)).name];
    };
    const worker = redis.tasks.work(new Map([['leave', leave]]));
    await worker.ready;
    const { id } = await redis.tasks.add('leave', 1);
    await until(async () => (await redis.tasks.find(id))?.state === 'active', { what: 'it to begin' });
    await redis.disconnect();
    expect(outcome).toEqual(['locked', 'next']);
  });
});

describe('beside what BullMQ says itself', () => {
  async function opened(queue: string) {
    const { url, host, port } = await shared('standalone');
    const namespace = `bull-${process.pid}`;
    const redis = createRedis({ url, namespace, tasks: { queue } }, {});
    const bull = new Queue(queue, { connection: { host, port }, prefix: `${namespace}:v1:tasks:{q}` });
    onTestFinished(async () => {
      await redis.disconnect();
      await bull.close();
    });
    return { tasks: redis.tasks, bull };
  }

  it.each(['0 0 */2 * 1', '0 0 1 * */2', '0 0 */10 * 1-5', '0 0 13 * 5', '5/15 * * * *', '0 0 29 2 *'])(
    'the schedule %s falls due when it does on the embedded default, also after its first time',
    async (cron) => {
      const { tasks, bull } = await opened(`cron-${cron.replaceAll(/[^\d-]/gu, '_')}`);
      tasks.work(new Map([['tick', () => undefined]]));
      const scheduledAt = Date.now();
      await tasks.schedule('clock', 'tick', { cron });
      const first = parseCron(cron).next(scheduledAt);
      expect((await tasks.find(`repeat:clock:${first}`))?.state).toBe('delayed');
      await (await bull.getJob(`repeat:clock:${first}`))?.promote();
      const second = `repeat:clock:${parseCron(cron).next(first)}`;
      await until(async () => (await tasks.find(second))?.state === 'delayed', { what: 'the next one' });
      await tasks.unschedule('clock');
    },
  );

  it('the pause before another attempt doubles up to an hour', async () => {
    const { tasks, bull } = await opened('pauses');
    const fail = (): never => {
      throw new Error('not today');
    };
    tasks.work(new Map([['fail', fail]]));
    const { id } = await tasks.add('fail', 1, { attempts: 9, backoff: '50m' });
    const job = async () => (await bull.getDelayed())[0];
    const first = await until(job, { what: 'the first pause' });
    expect(first.delay).toBe(3_000_000);
    await first.promote();
    await until(async () => (await tasks.find(id))?.attempts === 2, { what: 'the second attempt' });
    const second = await until(job, { what: 'the second pause' });
    expect(second.delay).toBe(3_600_000);
  });

  it('what BullMQ keeps for itself is no task: it is not found, and can not be taken out', async () => {
    const { tasks, bull } = await opened('odd-ids');
    const worker = tasks.work(new Map([['tick', () => undefined]]));
    await worker.ready;
    const { id } = await tasks.add('tick', 1, { id: 'own' });
    await tasks.schedule('clock', 'tick', { every: '1h' });
    await until(async () => (await tasks.find(id))?.state === 'completed', { what: 'it to be done' });
    const odd = [...Object.keys(bull.keys), 'repeat:clock', `${id}:lock`, `~${id}`];
    for (const each of odd) {
      const answers = [await tasks.find(each), await tasks.retry(each), await tasks.remove(each)];
      expect(answers, each).toEqual([undefined, false, false]);
    }
    expect(await bull.getJobScheduler('clock')).toMatchObject({ name: 'tick' });
    const next = (await bull.getDelayed())[0]?.id ?? '';
    expect(await tasks.find(next)).toMatchObject({ id: next, name: 'tick', state: 'delayed' });
    // It goes with its schedule.
    expect(await tasks.remove(next)).toBe(false);
    const theirs = await bull.add('tick', null, { jobId: 'theirs', delay: 60_000 });
    expect(await tasks.find('theirs')).toMatchObject({ id: theirs.id, state: 'delayed' });
    expect(await tasks.remove('theirs')).toBe(true);
  });

  it('of several who do a failed task again, one does', async () => {
    const { tasks } = await opened('again');
    const fail = (): never => {
      throw new Error('not today');
    };
    tasks.work(new Map([['fail', fail]]));
    const { id } = await tasks.add('fail', 1, { attempts: 1 });
    await until(async () => (await tasks.find(id))?.state === 'failed', { what: 'it to fail' });
    const answers = await Promise.all(Array.from({ length: 5 }, () => tasks.retry(id)));
    expect(answers.filter(Boolean)).toHaveLength(1);
  });

  it('a task that a worker takes at the same time is not taken out, and that is no error', async () => {
    const { tasks } = await opened('taken');
    tasks.work(new Map([['short', () => pause(5)]]));
    const rounds = Array.from({ length: 300 }, async () => {
      const { id } = await tasks.add('short', 1);
      return tasks.remove(id);
    });
    expect((await Promise.all(rounds)).map((answer) => typeof answer)).toEqual(rounds.map(() => 'boolean'));
  });

  it('results and progress of an earlier version, stored as they were, are still read', async () => {
    const { tasks, bull } = await opened('earlier');
    const { host, port } = await shared('standalone');
    const earlier = async (job: Job): Promise<unknown> => {
      await job.updateProgress(50);
      return { data: [1] };
    };
    const prefix = `bull-${process.pid}:v1:tasks:{q}`;
    const worker = new Worker('earlier', earlier, { connection: { host, port }, prefix });
    onTestFinished(() => worker.close());
    const { id } = await tasks.add('t', 1);
    await until(async () => (await tasks.find(id))?.state === 'completed', { what: 'it to be done' });
    expect(await tasks.find(id)).toMatchObject({ result: { data: [1] }, progress: 50 });
    expect(await bull.getCompletedCount()).toBe(1);
  });
});

/** A queue that seals what it is given, with a key that nobody else has. */
function withKeyOfItsOwn({ url, namespace, queue }: Readonly<Record<'url' | 'namespace' | 'queue', string>>) {
  const encryption = { keys: [{ id: 'k1', secret: randomBytes(32) }], required: true };
  const redis = createRedis({ url, namespace, codec: { encryption }, tasks: { queue } }, {});
  onTestFinished(() => redis.disconnect());
  return redis.tasks;
}

it('with encryption neither data nor progress nor result can be read in Redis or without the key', async () => {
  const { url, host, port } = await shared('standalone');
  const namespace = `sealed-${process.pid}`;
  const connected = { url, namespace, queue: 'sealed' };
  const [ours, theirs] = [withKeyOfItsOwn(connected), withKeyOfItsOwn(connected)];
  const tell = async ({ data, progress }: RunningTask): Promise<unknown> => {
    await progress({ secret: 'told-by-it' });
    if (data === 'fail') throw new Error('no');
    return { secret: 'given-by-it' };
  };
  ours.work(new Map([['t', tell]]));
  const { id } = await ours.add('t', 'put-into-it');
  await ours.add('t', 'fail', { attempts: 1 });
  await until(async () => (await ours.counts()).failed === 1 && (await ours.counts()).completed === 1, {
    what: 'both to end',
  });
  expect(await ours.find(id)).toMatchObject({
    data: 'put-into-it',
    progress: { secret: 'told-by-it' },
    result: { secret: 'given-by-it' },
  });
  const bull = new Queue('sealed', { connection: { host, port }, prefix: `${namespace}:v1:tasks:{q}` });
  onTestFinished(() => bull.close());
  expect(JSON.stringify(await bull.getJobs())).not.toMatch(/put-into|told-by|given-by/u);
  expect(await theirs.find(id)).toMatchObject({ data: undefined, progress: undefined, result: undefined });
  expect(await theirs.failed()).toMatchObject([{ state: 'failed', data: undefined }]);
});

it('with encryption what a task failed of is told by find, and can not be read in Redis or without the key', async () => {
  const { url, port } = await shared('standalone');
  const namespace = `failing-${process.pid}`;
  const connected = { url, namespace, queue: 'failing' };
  const [ours, theirs] = [withKeyOfItsOwn(connected), withKeyOfItsOwn(connected)];
  class Declined extends Error {
    override readonly name = 'Declined';
  }
  const fail = ({ data }: RunningTask): never => {
    const message = `the card of ada@example.org was declined\n    at ada@example.org (${String(data)})`;
    throw data === 'for good' ? new PermanentTaskError(message) : new Declined(message);
  };
  ours.work(new Map([['t', fail]]));
  const again = await ours.add('t', 'again', { attempts: 2, backoff: '10ms' });
  const forGood = await ours.add('t', 'for good', { attempts: 2 });
  const nobodys = await ours.add('unheard-of', 'x', { attempts: 2 });
  await until(async () => (await ours.counts()).failed === 3, { what: 'all to fail' });
  const told = await Promise.all([again, forGood, nobodys].map(({ id }) => ours.find(id)));
  expect(told).toMatchObject([
    { attempts: 2, failure: expect.stringContaining('ada@example.org (again)') as unknown },
    { attempts: 1, failure: expect.stringContaining('ada@example.org (for good)') as unknown },
    { attempts: 1, failure: expect.stringContaining('nobody here does') as unknown },
  ]);
  expect(await theirs.find(again.id)).toMatchObject({ failure: 'what it failed of can not be read here' });
  // Hashes of the tasks, and the stream on which BullMQ tells of them.
  const names = (await admin(port, 'KEYS', `${namespace}:*`)) as string[];
  const all = await Promise.all(
    names.map(async (name) => {
      const type = String(await admin(port, 'TYPE', name));
      if (type === 'hash') return admin(port, 'HGETALL', name);
      return type === 'stream' ? admin(port, 'XRANGE', name, '-', '+') : '';
    }),
  );
  expect(String(all)).toContain('sealed');
  expect(String(all)).not.toMatch(/ada@example/u);
});

it('a permanent failure keeps the stack of its handler', async () => {
  const { url, host, port } = await shared('standalone');
  const namespace = `stacks-${process.pid}`;
  const redis = createRedis({ url, namespace, tasks: { queue: 'stacks' } }, {});
  onTestFinished(() => redis.disconnect());
  const failingHandler = (): never => {
    throw new PermanentTaskError('never');
  };
  redis.tasks.work(new Map([['t', failingHandler]]));
  const { id } = await redis.tasks.add('t', 1);
  await until(async () => (await redis.tasks.find(id))?.state === 'failed', { what: 'it to fail' });
  const bull = new Queue('stacks', { connection: { host, port }, prefix: `${namespace}:v1:tasks:{q}` });
  onTestFinished(() => bull.close());
  const [job] = await bull.getFailed();
  expect(String(job?.stacktrace)).toContain('failingHandler');
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
