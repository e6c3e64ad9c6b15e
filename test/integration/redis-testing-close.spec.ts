/** The close of an application under `RedisTestingModule`: nobody is left to move the clock, and it ends all the same. */
import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { expect, it } from 'vitest';
import { RedisModule } from '@anbar/nestjs-redis';
import { Task, TASK_QUEUE, type RunningTask, type TaskQueue } from '@anbar/nestjs-redis/tasks';
import { RedisTestingModule } from '@anbar/nestjs-redis/testing';
import { boot } from './boot.js';
import { overridden } from './redis-testing-stage.js';

/** Far less than a test has, and far more than a close takes. */
const CLOSED_WITHIN_MS = 10_000;

@Injectable()
class Stuck {
  begun = 0;
  aborted = 0;

  @Task('testing-stuck')
  wait({ signal }: RunningTask): Promise<void> {
    this.begun += 1;
    signal.addEventListener('abort', () => (this.aborted += 1));
    return new Promise(() => undefined);
  }
}

@Injectable()
class Slow {
  done = false;

  @Task('testing-slow')
  async work(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 200));
    this.done = true;
  }
}

async function begin(app: INestApplicationContext, task: string): Promise<void> {
  await app.get<TaskQueue>(TASK_QUEUE).add(task, {});
  await new Promise(setImmediate);
}

async function closes(app: INestApplicationContext): Promise<boolean> {
  const late = new Promise<boolean>((resolve) => {
    setTimeout(resolve, CLOSED_WITHIN_MS, false).unref();
  });
  return Promise.race([app.close().then(() => true), late]);
}

it.each([
  [
    'RedisTestingModule',
    async () => (await boot({ imports: [RedisTestingModule.forRoot()], providers: [Stuck] })).app,
  ],
  [
    'overrideRedis',
    async () => {
      @Module({ imports: [RedisModule.forRoot()], providers: [Stuck] })
      class AppModule {}
      return overridden({ imports: [AppModule] }).compile();
    },
  ],
])('a task that never ends is given up, with %s', async (_how, start) => {
  const app = await start();
  const stuck = app.get(Stuck, { strict: false });
  await begin(app, 'testing-stuck');
  expect(stuck.begun).toBe(1);
  expect(await closes(app)).toBe(true);
  expect(stuck.aborted).toBe(1);
});

it('a task that is really at work gets the time to end', async () => {
  const { app } = await boot({ imports: [RedisTestingModule.forRoot()], providers: [Slow] });
  await begin(app, 'testing-slow');
  expect(await closes(app)).toBe(true);
  expect(app.get(Slow).done).toBe(true);
});
