/** Queues of tasks on embedded and on every real topology. */
import { randomBytes } from 'node:crypto';
import { afterAll } from 'vitest';
import { createCodec } from '@anbar/nestjs-redis/codec';
import { RedisConfig } from '@anbar/nestjs-redis';
import { createTaskQueue, resolveTasks, type TaskOptions, type TaskQueue } from '@anbar/nestjs-redis/tasks';
import { runContract, taskQueueContract } from '@anbar/nestjs-redis/testing';
import { ContractTable } from './contract-table.js';
import { openPlaces, type Place } from './places.js';
import { sideBySide } from './side-by-side.js';

const KEYS = [{ id: 'k1', secret: randomBytes(32) }];

async function opener(place: Place) {
  const { defaultConnection: connection, namespace } = new RedisConfig(await place.options(), {});
  const sealed = place.name === 'tls+acl';
  const codec = sealed ? createCodec({ encryption: { keys: KEYS, required: true } }) : undefined;
  const known = new Map<string, TaskQueue>();
  return {
    open: (queue: string, options: TaskOptions = {}) => {
      // In this process there is one store: what stands for two processes shares one queue.
      const found = place.name === 'embedded' ? known.get(queue) : undefined;
      if (found !== undefined) return found;
      const settings = resolveTasks({ ...options, queue });
      const made = createTaskQueue({ connection, namespace, settings, codec, timeoutMs: 5_000 });
      known.set(queue, made);
      return made;
    },
  };
}

const places = openPlaces();
const table = new ContractTable();

afterAll(async () => {
  table.print();
  await Promise.all(places.map((place) => place.stop()));
});

sideBySide((runner) => {
  for (const place of places) {
    const target = {
      name: place.name === 'tls+acl' ? `${place.name}, encrypted` : place.name,
      prefix: '',
      create: () => opener(place),
      onResult: table.add,
    };
    runContract(taskQueueContract, target, runner);
  }
});
