/** `@Task('invoice')` on a method of a provider: it does the tasks of that name. */
import type { RunningTask, TaskData } from './task-queue.js';

export const TASK_METADATA = Symbol.for('anbar:task');

/** The method takes the task, with data typed by its name, and what it returns is the result. */
export function Task<Name extends string>(name: Name) {
  return <Handler extends (task: RunningTask<TaskData<Name>>) => unknown>(
    _target: object,
    _key: string | symbol,
    descriptor: TypedPropertyDescriptor<Handler>,
  ): void => {
    if (descriptor.value !== undefined)
      Reflect.defineProperty(descriptor.value, TASK_METADATA, { value: name });
  };
}
