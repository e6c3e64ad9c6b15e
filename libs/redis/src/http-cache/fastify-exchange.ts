/** An exchange of Fastify. */
import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http';
import type { Exchange, Reply } from './exchange.js';
import type { Sent } from './stored-answer.js';

type Send = (this: unknown, body?: unknown) => unknown;

interface FastifyReply {
  readonly raw: ServerResponse;
  readonly statusCode: number;
  send: Send;
  code(code: number): unknown;
  serializer(serialize: (body: string) => string): FastifyReply;
  header(name: string, value: string): unknown;
  getHeader(name: string): OutgoingHttpHeader | undefined;
  serialize(body: unknown): string;
}

const NOT_MODIFIED = 304;

export function isFastify(response: object): boolean {
  return 'raw' in response && 'serialize' in response;
}

export class FastifyExchange implements Exchange {
  readonly request: object;
  readonly raw: IncomingMessage;
  readonly #reply: FastifyReply;

  constructor(request: object, response: object) {
    this.request = request;
    this.raw = (request as { readonly raw: IncomingMessage }).raw;
    this.#reply = response as FastifyReply;
  }

  get method(): string {
    return this.raw.method ?? '';
  }

  get url(): string {
    const original: unknown = Reflect.get(this.request, 'originalUrl');
    return typeof original === 'string' ? original : (this.raw.url ?? '');
  }

  answered(name: string): OutgoingHttpHeader | undefined {
    return this.#reply.getHeader(name) ?? this.#reply.raw.getHeader(name);
  }

  setHeader(name: string, value: string): void {
    this.#reply.header(name, value);
  }

  onClose(callback: () => void): void {
    this.#reply.raw.once('close', callback);
  }

  serve(reply: Reply): void {
    const response = this.#reply;
    const { send } = response;
    // Now, so that a status that differs later is somebody else's: that of an error.
    response.code(reply.status);
    response.send = (body) => {
      response.send = send;
      if (response.statusCode !== reply.status) return send.call(response, body);
      for (const [name, value] of reply.headers) response.header(name, value);
      if (reply.status === NOT_MODIFIED || reply.body === '') return send.call(response);
      // A text leaves in one piece with the head. It is serialised already, and no serializer touches it again.
      if (reply.text) return send.call(response.serializer(asItIs), reply.body);
      return send.call(response, Buffer.from(reply.body, reply.encoding));
    };
  }

  capture(onSend: (sent: Sent) => () => void): void {
    const response = this.#reply;
    const { send } = response;
    response.send = (body) => {
      response.send = send;
      if (body instanceof Error) return send.call(response, body);
      const bytes = this.#serialised(body);
      if (bytes === undefined) return send.call(response, body);
      const written = onSend({ status: response.statusCode, body: bytes });
      const matches = response.statusCode === NOT_MODIFIED;
      const result = send.call(response, matches || bytes === '' ? undefined : Buffer.from(bytes));
      written();
      return result;
    };
  }

  /** The very bytes Fastify would make of it; undefined for streams. */
  #serialised(body: unknown): string | Uint8Array | undefined {
    if (body === undefined || body === null || body === '') return '';
    if (ArrayBuffer.isView(body)) {
      this.#typed('application/octet-stream');
      return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
    }
    if (typeof body === 'string') {
      this.#typed('text/plain; charset=utf-8');
      return body;
    }
    if (typeof body === 'object' && ['pipe', 'getReader'].some((name) => name in body)) return undefined;
    if (Object.prototype.toString.call(body) === '[object Response]') return undefined;
    this.#typed('application/json; charset=utf-8');
    return this.#reply.serialize(body);
  }

  #typed(type: string): void {
    if (this.#reply.getHeader('content-type') === undefined) this.#reply.header('content-type', type);
  }
}

function asItIs(body: string): string {
  return body;
}
