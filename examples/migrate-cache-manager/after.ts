import 'reflect-metadata';
import { Controller, Delete, Get, Inject, Injectable, Module, Param, UseInterceptors } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  CACHE_MANAGER,
  CacheInterceptor,
  CacheKey,
  CacheModule,
  CacheTTL,
  type Cache,
} from '@anbar/nestjs-redis/compat';
import { RedisModule } from '@anbar/nestjs-redis';

@Injectable()
class Products {
  private loads = 0;

  constructor(@Inject(CACHE_MANAGER) private readonly cache: Cache) {}

  async list(): Promise<{ names: string[]; loads: number }> {
    return this.cache.wrap(
      'products',
      async () => ({ names: ['pen', 'ink'], loads: (this.loads += 1) }),
      60_000,
    );
  }

  async rename(id: string): Promise<{ old: unknown; renamed: unknown; expires: string; missing: string }> {
    const old = (await this.cache.get(`name:${id}`)) ?? null;
    const renamed = await this.cache.set(`name:${id}`, `product ${id}`, 60_000);
    const expires = await this.cache.ttl(`name:${id}`);
    await this.cache.del('products');
    const [missing] = await this.cache.mget(['nobody']);
    return { old, renamed, expires: typeof expires, missing: typeof missing };
  }

  async several(): Promise<{ values: unknown[]; left: unknown[] }> {
    await this.cache.mset<unknown>([
      { key: 'a', value: 1 },
      { key: 'b', value: { deep: [2] }, ttl: 60_000 },
    ]);
    const values = await this.cache.mget(['a', 'b']);
    await this.cache.mdel(['a']);
    const left = (await this.cache.mget(['a', 'b'])).map((value) => value ?? null);
    await this.cache.clear();
    return { values, left: [...left, (await this.cache.get('b')) ?? null] };
  }
}

@Controller()
@UseInterceptors(CacheInterceptor)
class ProductsController {
  private times = 0;

  constructor(@Inject(Products) private readonly products: Products) {}

  @Get('products')
  @CacheTTL(1)
  list(): Promise<unknown> {
    return this.products.list();
  }

  @Get('times')
  @CacheTTL(60_000)
  count(): { times: number } {
    return { times: (this.times += 1) };
  }

  @Get('named')
  @CacheKey('fixed')
  @CacheTTL(60_000)
  named(): { times: number } {
    return { times: (this.times += 1) };
  }

  @Get('rename/:id')
  @CacheTTL(1)
  rename(@Param('id') id: string): Promise<unknown> {
    return this.products.rename(id);
  }

  @Delete('several')
  several(): Promise<unknown> {
    return this.products.several();
  }
}

@Module({
  imports: [RedisModule.forRoot(), CacheModule.register({ ttl: 60_000 })],
  controllers: [ProductsController],
  providers: [Products],
})
class AppModule {}

export const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
await app.listen(process.env['PORT'] ?? 3000);
