/** `ShardedCache` as a Nest application has it: by configuration alone, and injected. */
import 'reflect-metadata';
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { RedisModule, ShardedCache, type RedisModuleOptions } from '@anbar/nestjs-redis';
import { startShards, until, type Shards } from '../topology/index.js';

let servers: Shards;

beforeAll(async () => {
  servers = await startShards(3);
}, 60_000);

afterAll(() => servers.stop());

@Injectable()
class Shelf {
  constructor(@Inject(ShardedCache) readonly cache: ShardedCache) {}
}

async function boot(options: RedisModuleOptions): Promise<Shelf> {
  @Module({ imports: [RedisModule.forRoot(options)], providers: [Shelf] })
  class App {}
  const app = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
  onTestFinished(() => app.close());
  return app.get(Shelf);
}

const keys = Array.from({ length: 60 }, (_, i) => ['book', i] as const);

describe('ShardedCache in a Nest application', () => {
  it('spreads over the shards of the options, and a second application finds all of it', async () => {
    const [a = '', b = '', c = ''] = servers.urls;
    const options: RedisModuleOptions = {
      topology: 'embedded',
      namespace: 'shelf',
      shards: { a: { url: a, connect: 'required' }, b: { url: b, weight: 2 }, c: { url: c } },
    };
    const [one, other] = await Promise.all([boot(options), boot(options)]);
    await one.cache.setMany(keys.map((key) => [key, `Volume ${key[1]}`] as const));
    expect(await other.cache.getMany(keys)).toEqual(keys.map((key) => `Volume ${key[1]}`));
    expect(new Set(keys.map((key) => one.cache.shardFor(key)))).toEqual(new Set(['a', 'b', 'c']));

    await other.cache.deleteMany(keys.slice(0, 30));
    expect(await one.cache.getMany(keys)).toEqual(
      keys.map((key) => (key[1] < 30 ? undefined : `Volume ${key[1]}`)),
    );
  });

  it('copies in one application follow what is changed in the other', async () => {
    const [a = '', b = '', c = ''] = servers.urls;
    const options: RedisModuleOptions = {
      topology: 'embedded',
      namespace: 'copies',
      shards: { a: { url: a }, b: { url: b }, c: { url: c } },
    };
    const [one, other] = await Promise.all([boot(options), boot(options)]);
    await Promise.all([one, other].map(({ cache }) => cache.connect({ timeout: '15s' })));
    for (const key of ['followed:1', 'followed:2', 'followed:3', 'followed:4']) {
      await one.cache.set(key, 'first');
      const heldHere = async (): Promise<boolean> => {
        let from: string | undefined;
        await other.cache.get(key, { onOutcome: (outcome) => (from = outcome) });
        return from === 'l1';
      };
      await until(heldHere, { what: `a copy of ${key}` });
      await one.cache.set(key, 'second');
      await until(async () => (await other.cache.get(key)) === 'second', { what: `the news of ${key}` });
      await one.cache.delete(key);
      await until(async () => (await other.cache.get(key)) === undefined, { what: `the end of ${key}` });
    }
  });

  it('without shards it is one shard on the default connection', async () => {
    const { cache } = await boot({ topology: 'embedded' });
    await cache.set('k', 1);
    expect(await cache.get('k')).toBe(1);
    expect(Object.keys(cache.status().shards)).toHaveLength(1);
  });

  it('boots while a shard is away, and serves the shares of the others', async () => {
    const [a = '', b = ''] = servers.urls;
    const { cache } = await boot({
      topology: 'embedded',
      namespace: 'away',
      shardLease: '500ms',
      shards: { a: { url: a }, b: { url: b }, gone: { host: '127.0.0.1', port: 1 } },
    });
    await until(() => cache.status().current, { what: 'two of three to agree', timeout: 15_000 });
    const stored = await Promise.all(keys.map((key) => cache.set(key, 1).catch(() => false)));
    const owners = keys.map((key) => cache.shardFor(key));
    expect(owners).toContain('gone');
    expect(stored).toEqual(owners.map((owner) => owner !== 'gone'));
  });
});
