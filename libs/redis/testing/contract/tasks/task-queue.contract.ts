/** What a queue of tasks promises, in this process or on Redis. */
import assert from 'node:assert/strict';
import type {
  RunningTask,
  TaskHandler,
  TaskOptions,
  TaskQueue,
  WorkOptions,
} from '../../../src/tasks/index.js';
import { PermanentTaskError } from '../../../src/tasks/index.js';
import type { Contract, ContractCase } from '../contract.js';
import { eventually, rejection } from '../expectations.js';

export interface TaskQueueSubject {
  /** A queue of its own name, as one process has it; the same name is the same queue. */
  readonly open: (name: string, options?: TaskOptions) => TaskQueue;
}

type Handlers = Readonly<Record<string, TaskHandler>>;

function work(queue: TaskQueue, handlers: Handlers, options?: WorkOptions) {
  return queue.work(new Map(Object.entries(handlers)), options);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Names of queues hold no colon. */
function nameOf(key: (name: string) => string): string {
  return key('queue')
    .replaceAll(/[^\w-]/gu, '-')
    .slice(-60);
}

const QUICK: TaskOptions = { backoff: { delay: '20ms', type: 'fixed' } };

const cases: readonly ContractCase<TaskQueueSubject>[] = [
  {
    name: 'a task is done with its data, and its result is kept',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      const due = new Date(1_700_000_000_000);
      const { id } = await queue.add('invoice', { order: 7, due, tags: new Set(['a']) });
      const seen: unknown[] = [];
      const worker = work(queue, {
        invoice: ({ data, attempt, name }) => {
          seen.push(data, attempt, name);
          return { pages: 2 };
        },
      });
      await worker.ready;
      await eventually('the task to be done', async () => (await queue.find(id))?.state === 'completed');
      assert.deepEqual(seen, [{ order: 7, due, tags: new Set(['a']) }, 1, 'invoice']);
      const found = await queue.find(id);
      assert.deepEqual(found?.result, { pages: 2 });
      assert.deepEqual(found?.data, { order: 7, due, tags: new Set(['a']) });
      assert.equal(found?.attempts, 1);
      assert.equal((await queue.counts()).completed, 1);
      await queue.close();
    },
  },
  {
    name: 'a failing task is tried again after its pause, then kept as failed, then done on request',
    async run({ open }, { key }) {
      const queue = open(nameOf(key), { ...QUICK, attempts: 3 });
      let broken = true;
      const attempts: number[] = [];
      work(queue, {
        mail: ({ attempt }) => {
          attempts.push(attempt);
          if (broken) throw new Error('no mail today');
        },
      });
      const { id } = await queue.add('mail', { to: 'ada' });
      await eventually('it to fail for good', async () => (await queue.find(id))?.state === 'failed');
      assert.deepEqual(attempts, [1, 2, 3]);
      const [failed] = await queue.failed();
      assert.equal(failed?.failure, 'no mail today');
      assert.deepEqual(failed?.data, { to: 'ada' });
      broken = false;
      assert.equal(await queue.retry('nobody'), false);
      assert.equal(await queue.retry(id), true);
      await eventually('it to be done', async () => (await queue.find(id))?.state === 'completed');
      assert.deepEqual(attempts.slice(3), [1]);
      assert.equal(await queue.retry(id), false);
      await queue.close();
    },
  },
  {
    name: 'a permanent failure and a task nobody knows are not tried again',
    async run({ open }, { key }) {
      const queue = open(nameOf(key), QUICK);
      let calls = 0;
      work(queue, {
        once: () => {
          calls += 1;
          throw new PermanentTaskError('there is no such order');
        },
      });
      const [once, other] = [await queue.add('once', 1), await queue.add('other', 1)];
      await eventually('both to fail', async () => (await queue.counts()).failed === 2);
      assert.equal(calls, 1);
      assert.equal((await queue.find(once.id))?.failure, 'there is no such order');
      assert.match((await queue.find(other.id))?.failure ?? '', /nobody here does tasks named 'other'/u);
      await queue.close();
    },
  },
  {
    name: 'one id is one task, also when it is added at once by many, and whatever is in it',
    async run({ open }, { key }) {
      const name = nameOf(key);
      const [a, b] = [open(name), open(name)];
      let calls = 0;
      const ids = ['order:7', '7', 'Ämne ☃'.replace(' ', '_'), '~x%41'];
      for (const id of ids) {
        const added = await Promise.all(
          Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? a : b).add('t', i, { id })),
        );
        assert.deepEqual(new Set(added.map((each) => each.id)), new Set([id]));
      }
      work(a, {
        t: () => {
          calls += 1;
        },
      });
      await eventually('all to be done', async () => (await a.counts()).completed === ids.length);
      await a.add('t', 0, { id: 'order:7' });
      await pause(100);
      assert.equal(calls, ids.length);
      assert.equal((await b.find('order:7'))?.state, 'completed');
      await Promise.all([a.close(), b.close()]);
    },
  },
  {
    name: 'a delayed task waits, and can be taken out before',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      const doneAt: number[] = [];
      const startedAt = Date.now();
      work(queue, { late: () => doneAt.push(Date.now() - startedAt) });
      const { id } = await queue.add('late', 1, { delay: '300ms' });
      const { id: gone } = await queue.add('late', 2, { delay: '300ms' });
      assert.equal((await queue.find(id))?.state, 'delayed');
      assert.equal(await queue.remove(gone), true);
      assert.equal(await queue.find(gone), undefined);
      await eventually('it to be done', () => doneAt.length > 0);
      await pause(100);
      assert.equal(doneAt.length, 1);
      assert.ok((doneAt[0] ?? 0) >= 290, `done after ${doneAt[0]} ms`);
      await queue.close();
    },
  },
  {
    name: 'no more at once than asked for, and all of them',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      let running = 0;
      let most = 0;
      const worker = work(
        queue,
        {
          t: async () => {
            running += 1;
            most = Math.max(most, running);
            await pause(20);
            running -= 1;
          },
        },
        { concurrency: 3 },
      );
      await Promise.all(Array.from({ length: 20 }, (_, i) => queue.add('t', i)));
      await eventually('all to be done', async () => (await queue.counts()).completed === 20);
      assert.equal(most, 3);
      await worker.close();
      await queue.close();
    },
  },
  {
    name: 'progress is seen while it is done',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      let finish: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        finish = resolve;
      });
      work(queue, {
        t: async (task: RunningTask) => {
          await task.progress({ pages: 3, of: 10 });
          await held;
        },
      });
      const { id } = await queue.add('t', 1);
      await eventually('the progress', async () => (await queue.find(id))?.progress !== undefined);
      assert.deepEqual((await queue.find(id))?.progress, { pages: 3, of: 10 });
      assert.equal((await queue.find(id))?.state, 'active');
      assert.equal(await queue.remove(id), false);
      finish();
      await eventually('it to be done', async () => (await queue.find(id))?.state === 'completed');
      await queue.close();
    },
  },
  {
    name: 'a schedule adds tasks again and again until it is taken out',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      let calls = 0;
      work(queue, {
        tick: ({ data }) => {
          assert.deepEqual(data, { of: 'clock' });
          calls += 1;
        },
      });
      await queue.schedule('clock', 'tick', { every: '100ms', data: { of: 'clock' } });
      await queue.schedule('clock', 'tick', { every: '150ms', data: { of: 'clock' } });
      await eventually('three of them', () => calls >= 3);
      assert.equal(await queue.unschedule('clock'), true);
      assert.equal(await queue.unschedule('clock'), false);
      await pause(200);
      const before = calls;
      await pause(400);
      assert.equal(calls, before);
      await rejection(queue.schedule('both', 'tick', { every: '1s', cron: '* * * * *' }), 'INVALID_TASK');
      await rejection(queue.schedule('none', 'tick', {}), 'INVALID_TASK');
      await rejection(queue.schedule('bad', 'tick', { cron: '61 * * * *' }), 'INVALID_TASK');
      await queue.close();
    },
  },
  {
    name: 'closing waits for what is under way, then aborts it, and takes nothing more',
    async run({ open }, { key }) {
      const name = nameOf(key);
      const queue = open(name);
      let aborted = false;
      const worker = work(
        queue,
        {
          short: () => pause(50),
          long: ({ signal }) =>
            new Promise((_, reject) => {
              signal.addEventListener('abort', () => {
                aborted = true;
                reject(new Error('stopped'));
              });
            }),
        },
        { concurrency: 1 },
      );
      const [first, second] = [await queue.add('short', 1), await queue.add('short', 2)];
      await eventually('the first to begin', async () => (await queue.find(first.id))?.state !== 'waiting');
      await worker.close();
      assert.equal((await queue.find(first.id))?.state, 'completed');
      assert.notEqual((await queue.find(second.id))?.state, 'completed');

      const other = work(queue, {
        long: ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              aborted = true;
              reject(new Error('stopped'));
            });
          }),
        short: () => undefined,
      });
      const { id } = await queue.add('long', 1, { attempts: 1 });
      await eventually('the long one to begin', async () => (await queue.find(id))?.state === 'active');
      await other.close({ drain: '50ms' });
      assert.equal(aborted, true);
      await queue.close();
      await rejection(queue.add('t', 1), 'TASK_QUEUE_CLOSED');
    },
  },
  {
    name: 'how long closing waits is said once for the queue',
    async run({ open }, { key }) {
      const queue = open(nameOf(key), { drain: '50ms' });
      let aborted = false;
      work(queue, {
        endless: ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              aborted = true;
              reject(new Error('stopped'));
            });
          }),
      });
      const { id } = await queue.add('endless', 1, { attempts: 1 });
      await eventually('it to begin', async () => (await queue.find(id))?.state === 'active');
      const startedAt = performance.now();
      await queue.close();
      assert.equal(aborted, true);
      assert.ok(performance.now() - startedAt < 5_000, 'the ten seconds of the default were waited for');
    },
  },
  {
    name: 'without data it is done with undefined, by itself and on a schedule',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      const seen: unknown[] = [];
      work(queue, {
        tick: ({ data, name }) => {
          seen.push([name, data]);
        },
      });
      const { id } = await queue.add('tick', undefined);
      await eventually('the task to be done', async () => (await queue.find(id))?.state === 'completed');
      await queue.schedule('clock', 'tick', { every: '50ms' });
      await eventually('two of the schedule', () => seen.length >= 3);
      await queue.unschedule('clock');
      assert.deepEqual(new Set(seen.map(String)), new Set(['tick,']));
      assert.equal((await queue.counts()).failed, 0);
      await queue.close();
    },
  },
  {
    name: 'results and progress are kept as what they were, null and 0 too, and as they were then',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      const values = [10n ** 20n, new Map([['a', 1]]), null, 0, false, '', { at: new Date(7) }, { data: 1 }];
      const counted = { pages: 1 };
      work(queue, {
        value: async ({ data, progress }) => {
          await progress(values[data as number]);
          return values[data as number];
        },
        counted: () => counted,
      });
      const added = await Promise.all(values.map((_, i) => queue.add('value', i)));
      const last = await queue.add('counted', 1);
      await eventually('all to be done', async () => (await queue.counts()).completed === added.length + 1);
      const found = await Promise.all(added.map(({ id }) => queue.find(id)));
      assert.deepEqual(
        found.map((task) => [task?.result, task?.progress, task?.attempts]),
        values.map((value) => [value, value, 1]),
      );
      counted.pages = 2;
      assert.deepEqual((await queue.find(last.id))?.result, { pages: 1 });
      await queue.close();
    },
  },
  {
    name: 'a result or a progress that can not be stored is left out, and the task is done',
    async run({ open }, { key }) {
      const queue = open(nameOf(key), QUICK);
      let calls = 0;
      work(queue, {
        t: async ({ progress }) => {
          calls += 1;
          await progress('half');
          await progress(() => 1);
          const circle: { of?: unknown } = {};
          circle.of = circle;
          return circle;
        },
      });
      const { id } = await queue.add('t', 1);
      await eventually('it to end', async () => (await queue.find(id))?.state === 'completed');
      const found = await queue.find(id);
      assert.deepEqual([found?.result, found?.progress, found?.failure], [undefined, 'half', undefined]);
      assert.equal(calls, 1);
      await queue.close();
    },
  },
  {
    name: 'a schedule of an interval begins after the first one',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      const ranAt: number[] = [];
      const worker = work(queue, {
        tick: () => {
          ranAt.push(Date.now());
        },
      });
      await worker.ready;
      const scheduledAt = Date.now();
      await queue.schedule('clock', 'tick', { every: '400ms' });
      await pause(200);
      // The same again is no reason to wait anew.
      await queue.schedule('clock', 'tick', { every: '400ms' });
      await eventually('two of them', () => ranAt.length >= 2);
      await queue.unschedule('clock');
      const [first = 0, second = 0] = ranAt;
      assert.ok(first - scheduledAt >= 390, `the first came after ${first - scheduledAt} ms`);
      assert.ok(first - scheduledAt < 590, `the first came after ${first - scheduledAt} ms`);
      assert.ok(second - first >= 200, `the second came ${second - first} ms later`);
      await queue.close();
    },
  },
  {
    name: 'closing does not wait for ever for a task that ignores its signal',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      let end: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        end = resolve;
      });
      const worker = work(queue, { deaf: () => held });
      const { id } = await queue.add('deaf', 1);
      await eventually('it to begin', async () => (await queue.find(id))?.state === 'active');
      const startedAt = performance.now();
      await worker.close({ drain: '50ms' });
      const tookMs = performance.now() - startedAt;
      assert.ok(tookMs > 1_000 && tookMs < 4_000, `it took ${tookMs} ms`);
      end();
      await queue.close();
    },
  },
  {
    name: 'a task under way while the queue closes may still add, look and schedule',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      let outcome: unknown = 'not there yet';
      const worker = work(queue, {
        t: async () => {
          await pause(200);
          const { id } = await queue.add('next', 1);
          await queue.schedule('later', 'next', { every: '1h' });
          outcome = [(await queue.find(id))?.state, await queue.unschedule('later')];
        },
      });
      await worker.ready;
      const { id } = await queue.add('t', 1);
      await eventually('it to begin', async () => (await queue.find(id))?.state === 'active');
      // Who closes a worker and then the queue at once waits for both.
      void worker.close();
      await queue.close();
      assert.deepEqual(outcome, ['waiting', true]);
      await rejection(queue.add('next', 1), 'TASK_QUEUE_CLOSED');
      await rejection(async () => void work(queue, { t: () => 1 }), 'TASK_QUEUE_CLOSED');
    },
  },
  {
    name: 'what can not be stored or is out of range is refused',
    async run({ open }, { key }) {
      const queue = open(nameOf(key));
      await rejection(
        queue.add('t', () => 1),
        'INVALID_TASK',
      );
      await rejection(queue.add('t', 1, { attempts: 0 }), 'INVALID_TASK');
      await rejection(queue.add('t', 1, { id: 'a b' }), 'INVALID_TASK');
      await rejection(queue.add('t', 1, { delay: -1 }), 'INVALID_DURATION');
      await rejection(queue.schedule('never', 't', { cron: '0 0 31 2 *' }), 'INVALID_TASK');
      assert.equal(await queue.unschedule('never'), false);
      for (const limit of [0, -1, 1.5]) await rejection(queue.failed(limit), 'INVALID_TASK');
      const half = '\ud800';
      await rejection(queue.add('t', 1, { id: half }), 'INVALID_TASK');
      assert.deepEqual(
        [await queue.find(half), await queue.retry(half), await queue.remove(half)],
        [undefined, false, false],
      );
      assert.deepEqual(await queue.counts(), { waiting: 0, delayed: 0, active: 0, completed: 0, failed: 0 });
      await queue.close();
    },
  },
];

export const taskQueueContract: Contract<TaskQueueSubject> = { name: 'TaskQueue', cases };
