/** What becomes of a whole cache is heard by those who listen to changes, and pay for no hit. */
import { expect, it, onTestFinished } from 'vitest';
import { createRedis, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { onTelemetry } from '@anbar/nestjs-redis/core';
import { startStandalone } from '../topology/index.js';

function hearing(name: string): { readonly told: readonly string[][] } {
  const channels = ['cache', 'cache-changes'];
  const told = channels.map((): string[] => []);
  channels.forEach((channel, i) => {
    const stop = onTelemetry(channel, (event) => {
      if (event.name === name) told[i]?.push(`${event.subject} ${event.outcome ?? ''}`);
    });
    onTestFinished(stop);
  });
  return { told };
}

function open(options: RedisModuleOptions) {
  const redis = createRedis(options, {});
  onTestFinished(() => redis.disconnect());
  return redis;
}

it('that this process answers in place of Redis', async () => {
  const { told } = hearing('cache.fallback');
  const server = await startStandalone();
  onTestFinished(() => server.stop());
  const redis = open({ url: server.url });
  await redis.connect();
  await server.process.kill();
  await redis.fallback.get('key');
  expect(told).toEqual([['default fallback'], ['default fallback']]);
});

it('that the shards have changed', async () => {
  const { told } = hearing('cache.shards');
  const embedded = { topology: 'embedded' } as const;
  const redis = open({ ...embedded, shards: { a: embedded, b: embedded } });
  await redis.connect();
  await redis.sharded.drain('b');
  expect(told[1]).toContain('b move');
  expect(told[1]).toEqual(told[0]);
});
