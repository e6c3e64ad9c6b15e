/**
 * Orders and what becomes of them. Every change is published with its time, to whoever watches in any process; the
 * list has no `ttl` of its own, so `REDIS_CACHE_TTL` says how long it is kept.
 */
import { Inject, Injectable, Logger } from '@nestjs/common';
import { FallbackCache, PubSub } from '@anbar/nestjs-redis';
import { ShopDatabase, type Row } from '../storage/shop-database.js';

export const ORDER_CHANGED = 'order.changed';
const STATUSES = ['placed', 'printed', 'packed', 'shipped'] as const;
type OrderStatus = (typeof STATUSES)[number];

export interface Order {
  readonly id: number;
  readonly product: string;
  readonly copies: number;
  readonly status: OrderStatus;
  readonly changedAt: string;
}

/** `announced`: whether the change was published; the order counts in any case. */
export interface ChangedOrder extends Order {
  readonly announced: boolean;
}

declare module '@anbar/nestjs-redis/pubsub' {
  interface PubSubEvents {
    [ORDER_CHANGED]: Order;
  }
}

const LIST = ['orders', 'latest'];
const TAG = 'orders';
const SELECT = `SELECT orders.*, products.title FROM orders JOIN products ON products.id = orders.product`;
const SHOWN = 8;

@Injectable()
export class OrderBook {
  readonly #database: ShopDatabase;
  readonly #cache: FallbackCache;
  readonly #pubsub: PubSub;
  readonly #logger = new Logger('OrderBook');

  constructor(
    @Inject(ShopDatabase) database: ShopDatabase,
    @Inject(FallbackCache) cache: FallbackCache,
    @Inject(PubSub) pubsub: PubSub,
  ) {
    this.#database = database;
    this.#cache = cache;
    this.#pubsub = pubsub;
  }

  latest(): Promise<readonly Order[]> {
    const load = async (): Promise<readonly Order[]> =>
      (await this.#database.ask(`${SELECT} ORDER BY orders.id DESC LIMIT ${SHOWN}`)).map(toOrder);
    return this.#cache.getOrSet(LIST, load, { tags: [TAG] });
  }

  /** Undefined when there is no such product. */
  place(product: number, copies: number): Promise<ChangedOrder | undefined> {
    return this.#changed(
      `INSERT INTO orders (product, copies, status, changed_at)
       SELECT id, ?, 'placed', ? FROM products WHERE id = ? RETURNING id`,
      [copies, Date.now(), product],
    );
  }

  /** One step on. Undefined when there is no such order, or nothing left to do for it. */
  advance(id: number): Promise<ChangedOrder | undefined> {
    const next = STATUSES.slice(1)
      .map((status, index) => `WHEN '${STATUSES[index] ?? ''}' THEN '${status}'`)
      .join(' ');
    return this.#changed(
      `UPDATE orders SET status = CASE status ${next} END, changed_at = ?
       WHERE id = ? AND status <> '${STATUSES.at(-1) ?? ''}' RETURNING id`,
      [Date.now(), id],
    );
  }

  async #changed(sql: string, values: readonly number[]): Promise<ChangedOrder | undefined> {
    const order = await this.#database.change(({ rows }) => {
      const [changed] = rows(sql, values);
      if (changed === undefined) return undefined;
      return rows(`${SELECT} WHERE orders.id = ?`, [Number(changed['id'])]).map(toOrder)[0];
    });
    if (order === undefined) return undefined;
    await this.#cache.invalidateTags([TAG]);
    return { ...order, announced: await this.#announce(order) };
  }

  /** What is published is news, not the order itself: without Redis the order counts all the same. */
  async #announce(order: Order): Promise<boolean> {
    try {
      await this.#pubsub.publish(ORDER_CHANGED, order);
      return true;
    } catch (error) {
      this.#logger.warn(`order ${order.id} was not announced: ${String(error)}`);
      return false;
    }
  }
}

function toOrder(row: Row): Order {
  return {
    id: Number(row['id']),
    product: String(row['title']),
    copies: Number(row['copies']),
    status: String(row['status']) as OrderStatus,
    changedAt: new Date(Number(row['changed_at'])).toISOString(),
  };
}
