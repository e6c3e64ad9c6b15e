/** One cache over two servers that know nothing of each other: SHARD_A_URL and SHARD_B_URL. */
import 'reflect-metadata';
import { Controller, Get, Inject, Module, Param, Put } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { RedisModule, ShardedCache } from '@anbar/nestjs-redis';

@Controller('values/:key')
class ValuesController {
  constructor(@Inject(ShardedCache) private readonly cache: ShardedCache) {}

  @Put()
  async put(@Param('key') key: string): Promise<{ shard: string }> {
    await this.cache.set(['values', key], `the value of ${key}`, '10m');
    return { shard: this.cache.shardFor(['values', key]) ?? 'none' };
  }

  @Get()
  async get(@Param('key') key: string): Promise<{ value: unknown }> {
    return { value: await this.cache.get(['values', key]) };
  }
}

@Module({
  imports: [
    RedisModule.forRoot({
      topology: 'embedded', // the default connection; the shards stand on their own
      shards: {
        a: { url: process.env['SHARD_A_URL'] ?? 'redis://localhost:6381' },
        b: { url: process.env['SHARD_B_URL'] ?? 'redis://localhost:6382', weight: 2 },
      },
    }),
  ],
  controllers: [ValuesController],
})
class AppModule {}

export const app = await NestFactory.create(AppModule);
await app.listen(process.env['PORT'] ?? 3000);
