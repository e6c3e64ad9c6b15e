/** A method whose answer is kept for five minutes. No server is needed; with REDIS_URL it is kept there. */
import 'reflect-metadata';
import { Controller, Get, Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Cacheable, RedisModule } from '@anbar/nestjs-redis';

@Injectable()
class Books {
  #loads = 0;

  @Cacheable({ key: () => 'books', ttl: '5m' })
  async all(): Promise<{ titles: string[]; loads: number }> {
    this.#loads += 1; // stands for the database
    return Promise.resolve({ titles: ['Anna Karenina'], loads: this.#loads });
  }
}

@Controller('books')
class BooksController {
  constructor(@Inject(Books) private readonly books: Books) {}

  @Get()
  all(): Promise<{ titles: string[]; loads: number }> {
    return this.books.all();
  }
}

@Module({ imports: [RedisModule.forRoot()], controllers: [BooksController], providers: [Books] })
class AppModule {}

export const app = await NestFactory.create(AppModule);
await app.listen(process.env['PORT'] ?? 3000);
