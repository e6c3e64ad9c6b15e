/** Applications on `RedisTestingModule` or `overrideRedis`, and the hand of the test on their time and faults. */
import type { INestApplicationContext, ModuleMetadata, Type } from '@nestjs/common';
import { onTestFinished } from 'vitest';
import type { RedisModuleOptions } from '@anbar/nestjs-redis';
import { TASK_QUEUE, type TaskQueue } from '@anbar/nestjs-redis/tasks';
import { overrideRedis, RedisTestingModule, TestRedis } from '@anbar/nestjs-redis/testing';
import { boot } from './boot.js';
import { TestBuilder } from './test-builder.js';

/** Whoever would really connect there fails. */
export const NOWHERE = { url: 'redis://nowhere.invalid:1' };

export async function startTested(options: RedisModuleOptions = {}, providers: Type[] = []) {
  const { app } = await boot({ imports: [RedisTestingModule.forRoot(options)], providers });
  return { app, redis: app.get(TestRedis), tasks: app.get<TaskQueue>(TASK_QUEUE) };
}

/** An application of its own options, which is taken off its server before it is compiled. */
export function overridden(metadata: ModuleMetadata): {
  readonly redis: TestRedis;
  readonly compile: () => Promise<INestApplicationContext>;
} {
  const builder = new TestBuilder(metadata);
  const redis = overrideRedis(builder);
  return {
    redis,
    async compile() {
      const app = await builder.compile();
      onTestFinished(() => app.close());
      return app;
    },
  };
}
