import 'reflect-metadata';
import { Controller, Get, Module, Post } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { seconds, SkipThrottle, Throttle, ThrottlerGuard, ThrottlerModule } from '@anbar/nestjs-redis/compat';
import { RedisModule } from '@anbar/nestjs-redis';

@Controller()
class OrdersController {
  @Get('orders')
  list(): string {
    return 'orders';
  }

  @Post('orders')
  @Throttle({
    default: { limit: 1, ttl: seconds(60), blockDuration: seconds(120) },
    burst: { limit: 5, ttl: 500 },
  })
  create(): string {
    return 'made';
  }

  @Get('health')
  @SkipThrottle({ default: true, burst: true })
  health(): string {
    return 'ok';
  }

  @Get('plans')
  @Throttle({
    default: {
      limit: (context) =>
        context.switchToHttp().getRequest<{ headers: Record<string, string> }>().headers['x-plan'] === 'pro'
          ? 3
          : 1,
    },
  })
  plans(): string {
    return 'plans';
  }
}

@Module({
  imports: [
    RedisModule.forRoot(),
    ThrottlerModule.forRoot({
      throttlers: [
        { ttl: seconds(60), limit: 2 },
        { name: 'burst', ttl: 500, limit: 10 },
      ],
      errorMessage: 'slow down',
    }),
  ],
  controllers: [OrdersController],
  providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
})
class AppModule {}

export const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
await app.listen(process.env['PORT'] ?? 3000);
