import { Module, type MiddlewareConsumer, type NestModule } from '@nestjs/common';
import { CacheMiddleware, RateLimitMiddleware, RedisModule } from '@anbar/nestjs-redis';
import { AccountModule } from './account/account.module.js';
import { AssistantModule } from './assistant/assistant.module.js';
import { BOOKS_CACHE } from './books/books.controller.js';
import { BooksModule } from './books/books.module.js';
import { CatalogModule } from './catalog/catalog.module.js';
import { LandingModule } from './landing/landing.module.js';
import { LimitsModule } from './limits/limits.module.js';
import { OpsModule } from './ops/ops.module.js';
import { ORDER_CHANGED } from './orders/order-book.js';
import { OrdersModule } from './orders/orders.module.js';
import { RunsModule } from './runs/runs.module.js';
import type { ShopRequest } from './account/reader.guard.js';
import { StorageModule } from './storage/storage.module.js';
import { TasksModule } from './tasks/tasks.module.js';

/** Where Redis is, `REDIS_CACHE_TTL` and `REDIS_SESSION_TTL` come from the environment; what is here is the shop's. */
@Module({
  imports: [
    RedisModule.forRoot({
      namespace: 'print-shop',
      contexts: { user: (request) => (request as ShopRequest | undefined)?.user?.id },
      caches: { [BOOKS_CACHE]: { contexts: ['user'] } },
      pubsub: { channels: { [ORDER_CHANGED]: { mode: 'stream', maxLength: 50, retention: '1d' } } },
      rateLimit: {
        endpoints: {
          // Guessing passwords has to stop while Redis is away, too.
          'POST /account/login': { limit: 20, window: '1m', onStoreError: 'closed' },
          '/products/**': { name: 'products', limit: 100, window: '1m' },
        },
      },
    }),
    StorageModule,
    LandingModule,
    CatalogModule,
    RunsModule,
    BooksModule,
    AssistantModule,
    AccountModule,
    OrdersModule,
    TasksModule,
    LimitsModule,
    OpsModule,
  ],
})
export class AppModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(CacheMiddleware, RateLimitMiddleware).forRoutes('*path');
  }
}
