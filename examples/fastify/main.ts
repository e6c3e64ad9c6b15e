/** The answer of a route kept as bytes, on Fastify: the second request costs no handler, and 304 no body. */
import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Cacheable, RedisModule } from '@anbar/nestjs-redis';

let runs = 0;

@Controller('status')
class StatusController {
  @Get()
  @Cacheable({ ttl: '30s' })
  status(): { runs: number } {
    runs += 1;
    return { runs };
  }
}

@Module({ imports: [RedisModule.forRoot()], controllers: [StatusController] })
class AppModule {}

export const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter());
await app.listen(process.env['PORT'] ?? 3000);
