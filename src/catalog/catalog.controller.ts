import {
  BadRequestException,
  Body,
  Controller,
  Get,
  Inject,
  NotFoundException,
  Param,
  ParseIntPipe,
  Put,
  Query,
  Res,
} from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { RequestBody } from '../request-body.js';
import { ProductShelf, type Found, type Product } from './product-shelf.js';

interface ProductList extends Pick<Found, 'products'> {
  readonly from: 'cache' | 'database';
  readonly outcome: string;
  readonly ms: number;
}

const SHELVES = ['paper', 'ink', 'tools'];
const MOST_CENTS = 1_000_000;

@Controller('products')
export class CatalogController {
  constructor(@Inject(ProductShelf) private readonly shelf: ProductShelf) {}

  @Get()
  async list(
    @Query('shelf') asked: unknown,
    @Res({ passthrough: true }) response: ServerResponse,
  ): Promise<ProductList> {
    const startedAt = performance.now();
    const { products, outcome } = await this.shelf.list(shelfOf(asked));
    const from = outcome === 'loaded' || outcome === 'bypass' ? 'database' : 'cache';
    response.setHeader('x-cache', from === 'cache' ? 'HIT' : 'MISS');
    return { from, outcome, ms: Math.round((performance.now() - startedAt) * 100) / 100, products };
  }

  @Get('explain')
  explain(@Query('shelf') asked: unknown): Promise<unknown> {
    return this.shelf.explain(shelfOf(asked));
  }

  @Put(':id/price')
  async reprice(@Param('id', ParseIntPipe) id: number, @Body() body: unknown): Promise<Product> {
    const priceCents = new RequestBody(body).whole('priceCents', { least: 0, most: MOST_CENTS });
    const product = await this.shelf.reprice(id, priceCents);
    if (product === undefined) throw new NotFoundException(`there is no product ${id}`);
    return product;
  }
}

function shelfOf(asked: unknown): string | undefined {
  if (asked === undefined || (typeof asked === 'string' && SHELVES.includes(asked))) return asked;
  throw new BadRequestException(`shelf: one of ${SHELVES.join(', ')}`);
}
