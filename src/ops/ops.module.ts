import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { RedisConsoleModule } from '@anbar/nestjs-redis/console';
import { RedisHealthModule, RedisMetricsModule, RedisStatsModule } from '@anbar/nestjs-redis/monitoring';
import { PlaceController } from './place.controller.js';
import { RedisFaultFilter } from './redis-fault.filter.js';

/** It tells how an application is built, and has no login here: in production it is left out. */
const console =
  process.env['NODE_ENV'] === 'production'
    ? []
    : [RedisConsoleModule.forRoot({ title: 'Anbar Press', browseKeys: true })];

/** Stats and console answer this machine only, as nobody has given them a token. */
@Module({
  imports: [
    RedisHealthModule.forRoot(),
    RedisStatsModule.forRoot(),
    RedisMetricsModule.forRoot(),
    ...console,
  ],
  controllers: [PlaceController],
  providers: [{ provide: APP_FILTER, useClass: RedisFaultFilter }],
})
export class OpsModule {}
