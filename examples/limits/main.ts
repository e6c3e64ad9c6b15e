/** Two limits: of an address before anything else, and of a user once it is known who that is. */
import 'reflect-metadata';
import { Controller, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { RateLimit, RedisModule } from '@anbar/nestjs-redis';

@Controller('orders')
class OrdersController {
  @Post()
  @RateLimit({ name: 'address', limit: 100, window: '1m' })
  @RateLimit({ name: 'orders', limit: 2, window: '1m', by: 'apiKey', anonymous: 'skip' })
  create(): { made: boolean } {
    return { made: true };
  }
}

@Module({
  imports: [RedisModule.forRoot({ rateLimit: { headers: 'both' } })],
  controllers: [OrdersController],
})
class AppModule {}

export const app = await NestFactory.create(AppModule);
await app.listen(process.env['PORT'] ?? 3000);
