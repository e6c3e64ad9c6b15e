/** A user's ESM project: the module in Nest, then the same without Nest, both on the embedded default. */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { createRedis, RedisAdapter, RedisModule } from '@anbar/nestjs-redis';

class App {}
Module({ imports: [RedisModule.forRoot()] })(App);

const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'fatal'] });
await roundTrip(app.get(RedisAdapter));
await app.close();

const redis = createRedis();
await redis.connect();
await roundTrip(redis.adapter);
await redis.disconnect();

console.log('import: set, get and delete through RedisModule and through createRedis');

async function roundTrip(adapter) {
  await adapter.set('k', { a: 1 }, '30s');
  assert.deepEqual(await adapter.get('k'), { a: 1 });
  await adapter.delete('k');
  assert.equal(await adapter.get('k'), undefined);
}
