import { Module, type MiddlewareConsumer, type NestModule } from '@nestjs/common';
import { SessionMiddleware } from '@anbar/nestjs-redis/session';
import { AccountModule } from '../account/account.module.js';
import { LimitsController } from './limits.controller.js';

@Module({ imports: [AccountModule], controllers: [LimitsController] })
export class LimitsModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(SessionMiddleware).forRoutes('limits/reader');
  }
}
