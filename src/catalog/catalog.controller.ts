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
import { RedisAdapter } from '@anbar/nestjs-redis';
import { ProductShelf, type Product } from './product-shelf.js';

interface ProductList {
  readonly from: 'redis' | 'shelf';
  readonly ms: number;
  readonly products: readonly Product[];
}

const LIST = ['catalog', 'products'];

@Controller('products')
export class CatalogController {
  constructor(
    @Inject(RedisAdapter) private readonly redis: RedisAdapter,
    @Inject(ProductShelf) private readonly shelf: ProductShelf,
  ) {}

  /** The list, kept for five minutes in front of the slow shelf. */
  @Get()
  async list(): Promise<ProductList> {
    const startedAt = performance.now();
    // The shop must sell while Redis is away: a read that fails is a miss, a write that fails is skipped.
    const kept = await this.redis.get<Product[]>(LIST).catch(() => undefined);
    const products = kept ?? (await this.shelf.all());
    if (kept === undefined) await this.redis.set(LIST, products, '5m').catch(() => undefined);
    return {
      from: kept === undefined ? 'shelf' : 'redis',
      ms: Math.round((performance.now() - startedAt) * 10) / 10,
      products,
    };
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
    await this.redis.delete(LIST);
    return product;
  }
}
