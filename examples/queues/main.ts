/** A request adds work and returns at once; whoever has the handler does it, here the same process. */
import 'reflect-metadata';
import { Controller, Get, Injectable, Module, Param, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { RedisModule } from '@anbar/nestjs-redis';
import { InjectTaskQueue, Task, type RunningTask, type TaskQueue } from '@anbar/nestjs-redis/tasks';

@Controller('books/:id/pdf')
class PdfController {
  constructor(@InjectTaskQueue() private readonly tasks: TaskQueue) {}

  @Post()
  async order(@Param('id') id: string): Promise<{ task: string }> {
    const { id: task } = await this.tasks.add('pdf', { book: id }, { id: `pdf-${id}` }); // one id, one task
    return { task };
  }

  @Get()
  async state(@Param('id') id: string): Promise<{ state: string; result: unknown }> {
    const task = await this.tasks.find(`pdf-${id}`);
    return { state: task?.state ?? 'unknown', result: task?.result ?? null };
  }
}

@Injectable()
class PdfPress {
  @Task('pdf')
  print({ data, signal }: RunningTask): { pages: number } {
    signal.throwIfAborted();
    return { pages: JSON.stringify(data).length };
  }
}

@Module({ imports: [RedisModule.forRoot()], controllers: [PdfController], providers: [PdfPress] })
class AppModule {}

export const app = await NestFactory.create(AppModule);
await app.listen(process.env['PORT'] ?? 3000);
