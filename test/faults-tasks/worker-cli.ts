/** What a worker process does: counts tasks into a ledger, and dies of poison. */
import { appendFileSync } from 'node:fs';
import { RedisConfig } from '@anbar/nestjs-redis';
import { createTaskQueue, resolveTasks, type TaskHandler, type TaskOptions } from '@anbar/nestjs-redis/tasks';

export const SETTINGS = {
  concurrency: 20,
  attempts: 3,
  backoff: { delay: '10ms', type: 'fixed' },
  keepCompleted: 100_000,
} as const;

export function runWorker(url: string, queue: string, ledger: string, lease: TaskOptions['lease']): void {
  const { defaultConnection: connection, namespace } = new RedisConfig({ url }, {});
  const settings = resolveTasks({ ...SETTINGS, queue, lease });
  const tasks = createTaskQueue({ connection, namespace, settings });
  /** Written before anything else happens. */
  const note = (mark: 'begin' | 'end', id: string): void => {
    appendFileSync(ledger, `${mark} ${process.pid} ${id}\n`);
  };
  const handlers: [string, TaskHandler][] = [
    [
      'count',
      async ({ id }) => {
        note('begin', id);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
        note('end', id);
      },
    ],
    [
      'poison',
      ({ id }) => {
        note('begin', id);
        process.kill(process.pid, 'SIGKILL');
        return new Promise(() => undefined);
      },
    ],
  ];
  const worker = tasks.work(new Map(handlers));
  void worker.ready.then(() => process.send?.('working'));
}
