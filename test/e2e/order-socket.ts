/** The orders' WebSocket, as far as a test needs one: what the server sends, in short text frames (RFC 6455). */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { until } from '../topology/index.js';

/** The length stands in the next two bytes. */
const IN_TWO_BYTES = 126;

export class OrderSocket {
  readonly messages: Readonly<Record<string, unknown>>[] = [];
  readonly #socket: Duplex;
  #rest: Buffer;

  private constructor(socket: Duplex, head: Buffer) {
    this.#socket = socket;
    this.#rest = head;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => undefined);
    this.#read(Buffer.alloc(0));
  }

  static async open(url: string): Promise<OrderSocket> {
    const asking = request(`${url}/orders/socket`, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
      },
    });
    asking.end();
    const [, socket, head] = (await once(asking, 'upgrade')) as [unknown, Duplex, Buffer];
    return new OrderSocket(socket, head);
  }

  heard(type: string, wanted: (message: Readonly<Record<string, unknown>>) => boolean = () => true) {
    const find = () => this.messages.find((message) => message['type'] === type && wanted(message));
    return until(find, { what: `a message '${type}' on the socket`, timeout: 60_000 });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const short = (this.#rest[1] ?? 0) & 0x7f;
      const head = short === IN_TWO_BYTES ? 4 : 2;
      if (this.#rest.length < head) return;
      const length = short === IN_TWO_BYTES ? this.#rest.readUInt16BE(2) : short;
      if (this.#rest.length < head + length) return;
      const text = this.#rest.subarray(head, head + length).toString();
      this.#rest = this.#rest.subarray(head + length);
      this.messages.push(JSON.parse(text) as Readonly<Record<string, unknown>>);
    }
  }
}
