/**
 * `/books/my`, kept as bytes for 30 minutes for each reader. The cache `books` has the context `user` in every key and
 * every tag, so that no reader is ever given, or evicts, what belongs to another one.
 */
import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  NotFoundException,
  Param,
  ParseIntPipe,
  Post,
  UseGuards,
} from '@nestjs/common';
import { Cacheable, CacheEvict } from '@anbar/nestjs-redis';
import { Reader, ReaderGuard } from '../account/reader.guard.js';
import { RequestBody } from '../request-body.js';
import { BookCollection, type Book } from './book-collection.js';

export const BOOKS_CACHE = 'books';
const MINE = ['mine'];

@Controller('books/my')
@UseGuards(ReaderGuard)
export class BooksController {
  constructor(@Inject(BookCollection) private readonly books: BookCollection) {}

  @Get()
  @Cacheable({ cache: BOOKS_CACHE, ttl: '30m', tags: MINE })
  async mine(@Reader() reader: string): Promise<{ reader: string; books: readonly Book[] }> {
    return { reader, books: await this.books.of(reader) };
  }

  /** Rejects while Redis can not be told: old lists would be answered when it is back. Sending it again is safe. */
  @Post()
  @CacheEvict({ cache: BOOKS_CACHE, tags: MINE })
  add(@Reader() reader: string, @Body() body: unknown): Promise<Book> {
    return this.books.add(reader, new RequestBody(body).text('title', { most: 100 }));
  }

  @Delete(':id')
  @HttpCode(204)
  @CacheEvict({ cache: BOOKS_CACHE, tags: MINE })
  async remove(@Reader() reader: string, @Param('id', ParseIntPipe) id: number): Promise<void> {
    if (!(await this.books.remove(reader, id))) throw new NotFoundException(`you have no book ${id}`);
  }
}
