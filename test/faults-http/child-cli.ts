/** A process that serves one application over HTTP, and does what the parent says. Loaded by child.mjs. */
import 'reflect-metadata';
import { Controller, Get, Module, Param, ServiceUnavailableException } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Cacheable, CacheService, RedisModule } from '@anbar/nestjs-redis';
import type { HandlerPlan, Order, ServeOrder, Word } from './orders.js';

let plan: HandlerPlan = { ends: 'answers', after: 0 };
let runs = 0;
let cache: CacheService | undefined;
let joinedBefore = 0;
let waiting: (() => void)[] = [];

function say(word: Word): void {
  if (process.connected) process.send?.(word);
}

function turnOf(after: HandlerPlan['after']): Promise<void> {
  return new Promise((resolve) => {
    if (after === 'the word') waiting.push(resolve);
    else setTimeout(resolve, after);
  });
}

async function make(id: string): Promise<object> {
  const { ends, after } = plan;
  runs += 1;
  say({ kind: 'running' });
  await turnOf(after);
  if (ends === 'fails') throw new ServiceUnavailableException('the shop is closed');
  return { id, made: 'by a handler' };
}

function joined(): number {
  return cache?.stats().coalesced ?? 0;
}

@Controller()
class Shop {
  @Get('cached/:id')
  @Cacheable({ ttl: '1m' })
  cached(@Param('id') id: string): Promise<object> {
    return make(id);
  }

  /** Expires all the time, so that the handler is asked all the time. */
  @Get('brief/:id')
  @Cacheable({ ttl: '100ms' })
  brief(@Param('id') id: string): Promise<object> {
    return make(id);
  }

  @Get('plain/:id')
  plain(@Param('id') id: string): Promise<object> {
    return make(id);
  }
}

async function serve({ platform, options }: ServeOrder): Promise<void> {
  class Application {
    readonly name = 'the shop';
  }
  Module({ imports: [RedisModule.forRoot(options)], controllers: [Shop] })(Application);
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  const app = await NestFactory.create(Application, adapter, { logger: false });
  await app.listen(0, '127.0.0.1');
  cache = app.get(CacheService);
  say({ kind: 'serving', url: await app.getUrl() });
}

async function obey(order: Order): Promise<void> {
  switch (order.kind) {
    case 'serve':
      await serve(order);
      break;
    case 'handler':
      plan = order.plan;
      runs = 0;
      joinedBefore = joined();
      say({ kind: 'told' });
      break;
    case 'release':
      for (const resolve of waiting) resolve();
      waiting = [];
      break;
    case 'count':
      say({ kind: 'counted', runs, joined: joined() - joinedBefore });
      break;
  }
}

export function runChild(): void {
  process.on('message', (order) => void obey(order as Order));
  process.on('disconnect', () => process.exit());
  say({ kind: 'ready' });
}
