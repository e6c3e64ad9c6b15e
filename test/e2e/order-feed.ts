/** Listens to the live orders of a shop, as an EventSource does. */
import { request, type ClientRequest } from 'node:http';
import { until } from '../topology/index.js';

export interface OrderEvent {
  readonly eventId: string;
  readonly id: number;
  readonly status: string;
  readonly changedAt: string;
  readonly publishedAt: string;
  readonly own: boolean;
}

export class OrderFeed {
  readonly events: OrderEvent[] = [];
  readonly #request: ClientRequest;
  #rest = '';
  #open = false;

  constructor(url: string, lastEventId?: string) {
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    this.#request = request(`${url}/orders/live`, { headers }, (response) => {
      this.#open = response.statusCode === 200;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => this.#read(chunk));
      response.on('error', () => undefined);
    });
    this.#request.on('error', () => undefined);
    this.#request.end();
  }

  /** Settles when the answer has begun. */
  async opened(): Promise<this> {
    await until(() => this.#open, { what: 'the live orders to open', timeout: 60_000 });
    return this;
  }

  heard(id: number, status: string): Promise<OrderEvent> {
    const find = () => this.events.find((event) => event.id === id && event.status === status);
    return until(find, { what: `order ${id} to be heard of as ${status}`, timeout: 60_000 });
  }

  close(): void {
    this.#request.destroy();
  }

  #read(chunk: string): void {
    const blocks = (this.#rest + chunk).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = /^data: (.*)$/mu.exec(block)?.[1];
      const eventId = /^id: (.*)$/mu.exec(block)?.[1] ?? '';
      if (data !== undefined) this.events.push({ ...(JSON.parse(data) as OrderEvent), eventId });
    }
  }
}
