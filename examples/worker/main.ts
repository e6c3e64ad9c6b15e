/**
 * A process without HTTP that does tasks. With REDIS_URL it does those that other processes add; without, it is alone
 * and adds one itself.
 */
import 'reflect-metadata';
import { Injectable, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { RedisModule } from '@anbar/nestjs-redis';
import { Task, TASK_QUEUE, type RunningTask, type TaskQueue } from '@anbar/nestjs-redis/tasks';

@Injectable()
class Mailer {
  readonly #logger = new Logger('Mailer');

  @Task('mail')
  send({ data, attempt }: RunningTask): { sent: unknown } {
    this.#logger.log(`sends a mail, attempt ${attempt}`);
    return { sent: data };
  }
}

@Module({ imports: [RedisModule.forRoot()], providers: [Mailer] })
class WorkerModule {}

export const app = await NestFactory.createApplicationContext(WorkerModule);
app.enableShutdownHooks(); // SIGTERM lets what is under way finish

if (process.env['REDIS_URL'] === undefined) {
  await app.get<TaskQueue>(TASK_QUEUE).add('mail', { to: 'ada' }, { id: 'first' });
}
