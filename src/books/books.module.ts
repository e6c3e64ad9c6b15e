import { Module, type MiddlewareConsumer, type NestModule } from '@nestjs/common';
import { SessionMiddleware } from '@anbar/nestjs-redis/session';
import { AccountModule } from '../account/account.module.js';
import { BookCollection } from './book-collection.js';
import { BooksController } from './books.controller.js';

@Module({ imports: [AccountModule], controllers: [BooksController], providers: [BookCollection] })
export class BooksModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(SessionMiddleware).forRoutes(BooksController);
  }
}
