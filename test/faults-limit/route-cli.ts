/** Routes on Fastify with a limit each, one for every way to be without Redis. Loaded by route.mjs. */
import 'reflect-metadata';
import type { AddressInfo, Server } from 'node:net';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { RateLimit, RateLimiter, RedisModule } from '@anbar/nestjs-redis';
import { OUTAGE_LIMIT, type RouteSettings, type RouteWord } from './route-words.js';

const PLENTY = { limit: 1_000_000, window: '1s' } as const;

@Controller()
class Routes {
  @Get('free')
  free(): string {
    return 'free';
  }

  @Get('local')
  @RateLimit({ name: 'local', ...OUTAGE_LIMIT })
  local(): string {
    return 'local';
  }

  @Get('open')
  @RateLimit({ name: 'open', ...PLENTY, onStoreError: 'open' })
  open(): string {
    return 'open';
  }

  @Get('closed')
  @RateLimit({ name: 'closed', ...PLENTY, onStoreError: 'closed' })
  closed(): string {
    return 'closed';
  }
}

export async function runRoutes(): Promise<void> {
  const { url, replicas } = JSON.parse(process.argv[2] ?? '{}') as RouteSettings;
  class Served {
    readonly name = 'the routes';
  }
  const redis = RedisModule.forRoot({
    url,
    connect: 'required',
    connectTimeout: '10s',
    rateLimit: { replicas },
  });
  Module({ imports: [redis], controllers: [Routes] })(Served);
  const app = await NestFactory.create(Served, new FastifyAdapter(), { logger: false, abortOnError: false });
  const server = (await app.listen(0, '127.0.0.1')) as Server;
  const say = (word: RouteWord): void => void process.send?.(word);
  const limiter = app.get(RateLimiter);
  process.on('message', () => say({ kind: 'stats', stats: limiter.stats() }));
  process.on('disconnect', () => process.exit(0));
  say({ kind: 'listening', port: (server.address() as AddressInfo).port });
}
