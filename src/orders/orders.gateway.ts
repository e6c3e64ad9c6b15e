/** The same changes over a WebSocket, from the moment it is opened. */
import { Inject } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection, type OnGatewayDisconnect } from '@nestjs/websockets';
import { PubSub } from '@anbar/nestjs-redis';
import { ORDER_CHANGED } from './order-book.js';

interface Socket {
  send(text: string): void;
  close(code: number): void;
}

/** RFC 6455: the server can not do what it was asked for. */
const SERVER_FAILED = 1011;

@WebSocketGateway({ path: '/orders/socket' })
export class OrdersGateway implements OnGatewayConnection<Socket>, OnGatewayDisconnect<Socket> {
  readonly #watching = new WeakMap<Socket, AbortController>();

  constructor(@Inject(PubSub) private readonly pubsub: PubSub) {}

  handleConnection(socket: Socket): void {
    const leaving = new AbortController();
    this.#watching.set(socket, leaving);
    this.#tell(socket, leaving.signal).catch(() => socket.close(SERVER_FAILED));
  }

  handleDisconnect(socket: Socket): void {
    this.#watching.get(socket)?.abort();
  }

  async #tell(socket: Socket, signal: AbortSignal): Promise<void> {
    const changes = this.pubsub.subscribe(ORDER_CHANGED, { signal });
    await changes.start();
    socket.send(JSON.stringify({ type: 'ready' }));
    for await (const { data, at } of changes)
      socket.send(JSON.stringify({ type: 'order', ...data, publishedAt: new Date(at).toISOString() }));
  }
}
