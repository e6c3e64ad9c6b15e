import { Module, type MiddlewareConsumer, type NestModule } from '@nestjs/common';
import { SessionMiddleware } from '@anbar/nestjs-redis/session';
import { AccountController } from './account.controller.js';
import { ReaderDirectory } from './reader-directory.js';

@Module({ controllers: [AccountController], providers: [ReaderDirectory], exports: [ReaderDirectory] })
export class AccountModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(SessionMiddleware).forRoutes(AccountController);
  }
}
