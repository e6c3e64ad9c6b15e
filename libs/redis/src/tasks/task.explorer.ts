/** Finds the handlers of an application and gives them one worker, from its boot to its shutdown. */
import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { TASK_METADATA } from './task.decorator.js';
import type { TaskHandler, TaskQueue, TaskWorker } from './task-queue.js';
import { InvalidTaskError } from './tasks.errors.js';
import { TASK_QUEUE } from './tasks.tokens.js';

@Injectable()
export class TaskExplorer implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #queue: TaskQueue;
  readonly #discovery: DiscoveryService;
  readonly #scanner: MetadataScanner;
  #worker: TaskWorker | undefined;

  constructor(
    @Inject(TASK_QUEUE) queue: TaskQueue,
    @Inject(DiscoveryService) discovery: DiscoveryService,
    @Inject(MetadataScanner) scanner: MetadataScanner,
  ) {
    this.#queue = queue;
    this.#discovery = discovery;
    this.#scanner = scanner;
  }

  async onApplicationBootstrap(): Promise<void> {
    const handlers = this.#handlers();
    if (handlers.size === 0) return;
    this.#worker = this.#queue.work(handlers);
    await this.#worker.ready;
  }

  /** Before the servers close: what is under way may still need them. */
  async onModuleDestroy(): Promise<void> {
    await this.#worker?.close();
  }

  #handlers(): Map<string, TaskHandler> {
    const handlers = new Map<string, TaskHandler>();
    const seen = new Set<unknown>();
    for (const wrapper of this.#discovery.getProviders()) {
      const instance: unknown = wrapper.instance;
      // One instance may be provided under several tokens.
      if (typeof instance !== 'object' || instance === null || seen.has(instance)) continue;
      seen.add(instance);
      const provider = instance;
      const prototype: unknown = Object.getPrototypeOf(provider);
      if (typeof prototype !== 'object' || prototype === null) continue;
      for (const method of this.#scanner.getAllMethodNames(prototype)) {
        const handler: unknown = Reflect.get(provider, method);
        const task = typeof handler === 'function' ? taskOf(handler) : undefined;
        if (task === undefined || typeof handler !== 'function') continue;
        if (!wrapper.isDependencyTreeStatic()) throw scoped(task, wrapper.name);
        if (handlers.has(task)) throw twice(task);
        handlers.set(task, (running) => Reflect.apply(handler, provider, [running]) as unknown);
      }
    }
    return handlers;
  }
}

function taskOf(handler: object): string | undefined {
  const task: unknown = Reflect.get(handler, TASK_METADATA);
  return typeof task === 'string' ? task : undefined;
}

function twice(task: string): InvalidTaskError {
  return new InvalidTaskError(`two methods do the task '${task}'`, { hint: 'one name, one handler' });
}

function scoped(task: string, owner: unknown): InvalidTaskError {
  return new InvalidTaskError(
    `the task '${task}' is done by ${String(owner)}, which is made for every request`,
    {
      hint: 'a worker has no request: give the provider the default scope',
    },
  );
}
