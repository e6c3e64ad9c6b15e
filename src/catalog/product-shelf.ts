/**
 * What the shop sells. The lists are kept for five minutes in front of the slow database, and are gone the moment a
 * price on them changes. `FallbackCache` goes on with both while Redis is away.
 */
import { Inject, Injectable } from '@nestjs/common';
import { FallbackCache, type CacheOutcome } from '@anbar/nestjs-redis';
import { ShopDatabase, type Row } from '../storage/shop-database.js';

export interface Product {
  readonly id: number;
  readonly title: string;
  readonly shelf: string;
  readonly priceCents: number;
}

export interface Found {
  readonly products: readonly Product[];
  readonly outcome: CacheOutcome;
}

const ALL = 'all';

@Injectable()
export class ProductShelf {
  readonly #database: ShopDatabase;
  readonly #cache: FallbackCache;

  constructor(@Inject(ShopDatabase) database: ShopDatabase, @Inject(FallbackCache) cache: FallbackCache) {
    this.#database = database;
    this.#cache = cache;
  }

  /** One shelf, or all of them. A list goes by the tags of the shelves that are on it. */
  async list(shelf: string = ALL): Promise<Found> {
    let outcome: CacheOutcome = 'loaded';
    const products = await this.#cache.getOrSet<readonly Product[]>(
      keyOf(shelf),
      async ({ setTags }) => {
        const found = await this.#read(shelf);
        setTags([...new Set(found.map((product) => tagOf(product.shelf)))]);
        return found;
      },
      { ttl: '5m', onOutcome: (known) => (outcome = known) },
    );
    return { products, outcome };
  }

  /** Why a list answers as it does: its age, its tags, who loads it. */
  explain(shelf: string = ALL): Promise<unknown> {
    return this.#cache.explain(keyOf(shelf));
  }

  /** Undefined when there is no such product. Lists of other shelves stay where they are. */
  async reprice(id: number, priceCents: number): Promise<Product | undefined> {
    const product = await this.#database.change(({ run, rows }) => {
      run('UPDATE products SET price_cents = ? WHERE id = ?', [priceCents, id]);
      return rows('SELECT * FROM products WHERE id = ?', [id]).map(toProduct)[0];
    });
    if (product !== undefined) await this.#cache.invalidateTags([tagOf(product.shelf)]);
    return product;
  }

  async #read(shelf: string): Promise<Product[]> {
    const rows =
      shelf === ALL
        ? await this.#database.ask('SELECT * FROM products ORDER BY id')
        : await this.#database.ask('SELECT * FROM products WHERE shelf = ? ORDER BY id', [shelf]);
    return rows.map(toProduct);
  }
}

function keyOf(shelf: string): string[] {
  return ['catalog', 'products', shelf];
}

function tagOf(shelf: string): string {
  return `shelf:${shelf}`;
}

function toProduct(row: Row): Product {
  return {
    id: Number(row['id']),
    title: String(row['title']),
    shelf: String(row['shelf']),
    priceCents: Number(row['price_cents']),
  };
}
