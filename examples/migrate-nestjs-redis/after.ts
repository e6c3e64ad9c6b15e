import 'reflect-metadata';
import { Controller, Get, Inject, Injectable, Module, Param } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Redis } from 'ioredis';
import { InjectRedis, NativeRedisModule, RedisService } from '@anbar/nestjs-redis/compat';
import { RedisModule } from '@anbar/nestjs-redis';

@Injectable()
class Scores {
  private readonly reports: Redis;

  constructor(
    @InjectRedis() private readonly redis: Redis,
    @Inject(RedisService) service: RedisService,
  ) {
    this.reports = service.getClient('reports') as Redis;
  }

  async add(
    player: string,
  ): Promise<{ score: string; top: string[]; multi: unknown; reports: string | null }> {
    const score = await this.redis.zincrby('example:scores', 10, player);
    await this.redis.expire('example:scores', 60);
    const multi = await this.redis.multi().set('example:last', player, 'EX', 60).get('example:last').exec();
    await this.reports.set('example:report', `about ${player}`, 'EX', 60);
    return {
      score,
      top: await this.redis.zrevrange('example:scores', 0, 2, 'WITHSCORES'),
      multi,
      reports: await this.reports.get('example:report'),
    };
  }
}

@Controller('scores')
class ScoresController {
  constructor(@Inject(Scores) private readonly scores: Scores) {}

  @Get(':player')
  add(@Param('player') player: string): Promise<unknown> {
    return this.scores.add(player);
  }
}

const url = process.env['REDIS_URL'] ?? 'redis://localhost:6379';

@Module({
  imports: [
    RedisModule.forRoot({ url, connections: { reports: { url } } }),
    NativeRedisModule.register('default', 'reports'),
  ],
  controllers: [ScoresController],
  providers: [Scores],
})
class AppModule {}

export const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
await app.listen(process.env['PORT'] ?? 3000);
