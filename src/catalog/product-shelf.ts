/** The database of the demo: a table in memory that takes its time, so that a cache is worth seeing. */
import { Injectable } from '@nestjs/common';

export interface Product {
  readonly id: number;
  readonly title: string;
  readonly priceCents: number;
}

const QUERY_MS = 120;

@Injectable()
export class ProductShelf {
  readonly #products = new Map<number, Product>(
    ['Letterpress cards', 'Linen notebook', 'Ink, 50 ml', 'Brass ruler'].map((title, index) => [
      index + 1,
      { id: index + 1, title, priceCents: 450 + index * 325 },
    ]),
  );
  #queries = 0;

  /** How often the slow query ran since the start. */
  get queries(): number {
    return this.#queries;
  }

  async all(): Promise<Product[]> {
    this.#queries += 1;
    await new Promise((resolve) => setTimeout(resolve, QUERY_MS));
    return [...this.#products.values()];
  }

  reprice(id: number, priceCents: number): Product | undefined {
    const product = this.#products.get(id);
    if (product === undefined) return undefined;
    const repriced = { ...product, priceCents };
    this.#products.set(id, repriced);
    return repriced;
  }
}
