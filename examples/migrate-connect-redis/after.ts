import 'reflect-metadata';
import { Controller, Get, Module, Post, Req, Session } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import session from 'express-session';
import { connectRedis } from '@anbar/nestjs-redis/compat';
import { RedisAdapter, RedisModule } from '@anbar/nestjs-redis';

const RedisStore = connectRedis(session);

interface Visit {
  views?: number;
}

@Controller()
class VisitsController {
  @Get('views')
  views(@Session() visit: Visit): { views: number } {
    visit.views = (visit.views ?? 0) + 1;
    return { views: visit.views };
  }

  @Post('logout')
  async logout(
    @Req() request: { session: { destroy(done: (error: unknown) => void): void } },
  ): Promise<{ gone: boolean }> {
    await new Promise<void>((resolve) => request.session.destroy(() => resolve()));
    return { gone: true };
  }
}

@Module({ imports: [RedisModule.forRoot()], controllers: [VisitsController] })
class AppModule {}

export const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
const client = app.get(RedisAdapter);
const store = new RedisStore({ client, prefix: 'shop:', ttl: 3_600 });
app.use(session({ store, secret: 'of-the-example', resave: false, saveUninitialized: false }));
await app.listen(process.env['PORT'] ?? 3000);
