/** What the child of redis-testing-module.spec.ts does. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CacheService, LockService, RedisAdapter } from '@anbar/nestjs-redis';
import { RedisTestingModule, TestRedis } from '@anbar/nestjs-redis/testing';
import { until } from '../topology/until.js';

export async function runChild(): Promise<void> {
  await compileThatThrows();
  await closeInFullUse();
  await until(() => resources().length === 0, { what: 'the last timer' }).catch(() => undefined);
  console.log(`nothing left: ${JSON.stringify(resources())}`);
}

async function compileThatThrows(): Promise<void> {
  @Module({
    imports: [RedisTestingModule.forRoot({ connections: { reports: {} } })],
    providers: [
      {
        provide: 'broken',
        inject: [CacheService],
        useFactory: async (cache: CacheService): Promise<never> => {
          await cache.set('k', 1);
          throw new Error('planted');
        },
      },
    ],
  })
  class Broken {}
  const options = { logger: false, abortOnError: false } as const;
  await NestFactory.createApplicationContext(Broken, options).catch((error: unknown) => {
    console.log(`compile threw: ${error instanceof Error ? error.message : String(error)}`);
  });
}

async function closeInFullUse(): Promise<void> {
  @Module({ imports: [RedisTestingModule.forRoot()] })
  class App {}
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  const cache = app.get(CacheService);
  // Nobody ever answers it: the drain has to run out, and nobody but the module is left to let time pass.
  cache.getOrSet('never', () => new Promise(() => undefined)).catch(() => undefined);
  await app.get(LockService).acquire('held', { ttl: '10s' });
  await app.get(RedisAdapter).subscribe('orders', () => undefined).ready;
  app.get(TestRedis).latency('100ms');
  await app.close();
  console.log('closed');
}

/** Pipes to whoever started this are none of ours. */
function resources(): string[] {
  return process.getActiveResourcesInfo().filter((each) => /^(?:Timeout|Immediate|TCP.*)$/u.test(each));
}
