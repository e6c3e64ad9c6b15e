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
} from '@nestjs/common';
import { CacheService } from '@anbar/nestjs-redis';
import { ProductShelf, type Product } from './product-shelf.js';

interface ProductList {
  readonly from: 'cache' | 'shelf';
  readonly ms: number;
  readonly products: readonly Product[];
}

const LIST = ['catalog', 'products'];

@Controller('products')
export class CatalogController {
  constructor(
    @Inject(CacheService) private readonly cache: CacheService,
    @Inject(ProductShelf) private readonly shelf: ProductShelf,
  ) {}

  /** The list, kept for five minutes in front of the slow shelf. While Redis is away the shelf is asked. */
  @Get()
  async list(): Promise<ProductList> {
    const startedAt = performance.now();
    let from: ProductList['from'] = 'cache';
    const products = await this.cache.getOrSet(
      LIST,
      () => {
        from = 'shelf';
        return this.shelf.all();
      },
      { ttl: '5m' },
    );
    return { from, ms: Math.round((performance.now() - startedAt) * 10) / 10, products: products ?? [] };
  }

  @Put(':id/price')
  async reprice(
    @Param('id', ParseIntPipe) id: number,
    @Body() body: { priceCents?: unknown } | undefined,
  ): Promise<Product> {
    const priceCents = body?.priceCents;
    if (typeof priceCents !== 'number' || !Number.isInteger(priceCents) || priceCents < 0) {
      throw new BadRequestException('send { "priceCents": 995 }');
    }
    const product = this.shelf.reprice(id, priceCents);
    if (product === undefined) throw new NotFoundException(`there is no product ${id}`);
    // Not caught: a price that may stay stale for five minutes is an answer the caller has to know about.
    await this.cache.delete(LIST);
    return product;
  }
}
