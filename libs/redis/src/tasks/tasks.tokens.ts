/** How the task queue is asked for: an interface has no name at run time. */
import { Inject } from '@nestjs/common';

export const TASK_QUEUE = Symbol('anbar:task-queue (RedisModule provides it)');

/** `constructor(@InjectTaskQueue() private readonly tasks: TaskQueue) {}` */
export function InjectTaskQueue(): PropertyDecorator & ParameterDecorator {
  return Inject(TASK_QUEUE);
}
