import {
  Body,
  Controller,
  Get,
  Headers,
  HttpCode,
  Inject,
  NotFoundException,
  Param,
  ParseIntPipe,
  Post,
  Sse,
  type MessageEvent,
} from '@nestjs/common';
import { interval, map, merge, startWith, type Observable } from 'rxjs';
import { PubSub, RateLimit } from '@anbar/nestjs-redis';
import { RequestBody } from '../request-body.js';
import { ORDER_CHANGED, OrderBook, type ChangedOrder, type Order } from './order-book.js';

/** Proxies cut connections on which nothing moves. */
const SIGN_OF_LIFE_MS = 15_000;
const STREAM_ID = /^\d{1,15}-\d{1,10}$/u;

@Controller('orders')
export class OrdersController {
  constructor(
    @Inject(OrderBook) private readonly orders: OrderBook,
    @Inject(PubSub) private readonly pubsub: PubSub,
  ) {}

  @Get()
  latest(): Promise<readonly Order[]> {
    return this.orders.latest();
  }

  @Post()
  @RateLimit({ name: 'orders', limit: 60, window: '1m' })
  async place(@Body() given: unknown): Promise<ChangedOrder> {
    const body = new RequestBody(given);
    const product = body.whole('product', { least: 1, most: 1_000_000 });
    const copies = body.whole('copies', { least: 1, most: 1_000, otherwise: 1 });
    const order = await this.orders.place(product, copies);
    if (order === undefined) throw new NotFoundException(`there is no product ${product}`);
    return order;
  }

  @Post(':id/advance')
  @HttpCode(200)
  async advance(@Param('id', ParseIntPipe) id: number): Promise<ChangedOrder> {
    const order = await this.orders.advance(id);
    if (order === undefined) throw new NotFoundException(`order ${id} does not exist, or is shipped`);
    return order;
  }

  /**
   * The latest changes, and every one from here on. A browser that was away says which it has seen last, and gets those
   * it missed: they are kept in a stream.
   */
  @Sse('live')
  live(@Headers('last-event-id') last?: string): Observable<MessageEvent> {
    const from = last !== undefined && STREAM_ID.test(last) ? last : 'beginning';
    const changes = this.pubsub.observe(ORDER_CHANGED, { from }).pipe(
      map(({ id, data, at, own }): MessageEvent => ({
        ...(id === undefined ? {} : { id }),
        type: 'order',
        data: { ...data, publishedAt: new Date(at).toISOString(), own },
      })),
    );
    const alive = interval(SIGN_OF_LIFE_MS).pipe(
      startWith(0),
      map((): MessageEvent => ({ comment: 'here' })),
    );
    return merge(alive, changes);
  }
}
