import { Body, Controller, Get, HttpCode, NotFoundException, Param, Post } from '@nestjs/common';
import { RateLimit } from '@anbar/nestjs-redis';
import {
  InjectTaskQueue,
  type AddedTask,
  type TaskCounts,
  type TaskInfo,
  type TaskQueue,
} from '@anbar/nestjs-redis/tasks';
import { RequestBody } from '../request-body.js';

interface QueueReport {
  readonly counts: TaskCounts;
  readonly failed: readonly TaskInfo[];
}

const FAILED_SHOWN = 5;

@Controller('tasks')
export class TasksController {
  constructor(@InjectTaskQueue() private readonly tasks: TaskQueue) {}

  @Get()
  async report(): Promise<QueueReport> {
    const [counts, failed] = await Promise.all([this.tasks.counts(), this.tasks.failed(FAILED_SHOWN)]);
    return { counts, failed };
  }

  /** Answers as soon as the task is safe; whoever has time does it. */
  @Post()
  @HttpCode(202)
  @RateLimit({ name: 'tasks', limit: 30, window: '1m' })
  add(@Body() given: unknown): Promise<AddedTask> {
    const body = new RequestBody(given);
    const title = body.text('title', { most: 100, otherwise: 'Kelidar' });
    const snaps = body.whole('snaps', { least: 0, most: 3, otherwise: 0 });
    return this.tasks.add(
      'bind',
      { title, snaps },
      { attempts: 3, backoff: { delay: '300ms', type: 'fixed' } },
    );
  }

  @Get(':id')
  async find(@Param('id') id: string): Promise<TaskInfo> {
    const found = await this.tasks.find(id);
    if (found === undefined) throw new NotFoundException('there is no such task');
    return found;
  }

  /** A task that failed for good is kept until somebody looks at it. */
  @Post(':id/retry')
  @HttpCode(202)
  async retry(@Param('id') id: string): Promise<{ retried: true }> {
    if (!(await this.tasks.retry(id))) throw new NotFoundException('no such task has failed');
    return { retried: true };
  }
}
