/** GraphQL: what a resolver asks for is cached in its service, and a field is limited like a route. */
import 'reflect-metadata';
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Cacheable, RateLimit, RedisModule } from '@anbar/nestjs-redis';

@Injectable()
class Books {
  @Cacheable({ key: () => 'titles', ttl: '1h' })
  async titles(): Promise<string[]> {
    return Promise.resolve(['Anna Karenina', 'War and Peace']); // asks the database
  }
}

@Resolver()
class BooksResolver {
  constructor(@Inject(Books) private readonly books: Books) {}

  @Query(() => [String])
  @RateLimit({ limit: 100, window: '1m' })
  titles(): Promise<string[]> {
    return this.books.titles();
  }
}

@Module({
  imports: [
    RedisModule.forRoot(),
    GraphQLModule.forRoot<MercuriusDriverConfig>({
      driver: MercuriusDriver,
      autoSchemaFile: true,
      context: (request, reply) => ({ req: request, reply }),
    }),
  ],
  providers: [Books, BooksResolver],
})
class AppModule {}

export const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter());
await app.listen(process.env['PORT'] ?? 3000);
