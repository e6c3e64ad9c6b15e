/** A user's CommonJS project, through require(esm): the module in Nest, then the same without Nest. */
require('reflect-metadata');
const assert = require('node:assert/strict');
const { Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { createRedis, RedisAdapter, RedisModule } = require('@anbar/nestjs-redis');

class App {}
Module({ imports: [RedisModule.forRoot()] })(App);

async function main() {
  const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'fatal'] });
  await roundTrip(app.get(RedisAdapter));
  await app.close();

  const redis = createRedis();
  await redis.connect();
  await roundTrip(redis.adapter);
  await redis.disconnect();

  console.log('require(esm): set, get and delete through RedisModule and through createRedis');
}

async function roundTrip(adapter) {
  await adapter.set('k', { a: 1 }, '30s');
  assert.deepEqual(await adapter.get('k'), { a: 1 });
  await adapter.delete('k');
  assert.equal(await adapter.get('k'), undefined);
}

void main();
