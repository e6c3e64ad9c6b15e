/** An exchange of Express. */
import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http';
import type { Exchange, Reply } from './exchange.js';
import type { Sent } from './stored-answer.js';

type Send = (this: unknown, body?: unknown) => unknown;

interface ExpressResponse extends ServerResponse {
  send: Send;
  json: Send;
  status: (this: unknown, code: number) => unknown;
}

export class ExpressExchange implements Exchange {
  readonly raw: IncomingMessage;
  readonly #response: ExpressResponse;

  constructor(request: object, response: object) {
    this.raw = request as IncomingMessage;
    this.#response = response as ExpressResponse;
  }

  get request(): object {
    return this.raw;
  }

  get method(): string {
    return this.raw.method ?? '';
  }

  get url(): string {
    const original: unknown = Reflect.get(this.raw, 'originalUrl');
    return typeof original === 'string' ? original : (this.raw.url ?? '');
  }

  answered(name: string): OutgoingHttpHeader | undefined {
    return this.#response.getHeader(name);
  }

  setHeader(name: string, value: string): void {
    this.#response.setHeader(name, value);
  }

  onClose(callback: () => void): void {
    this.#response.once('close', callback);
  }

  serve(reply: Reply): void {
    const response = this.#response;
    const { send, json, status } = response;
    const restore = (): void => {
      Object.assign(response, { send, json, status });
    };
    const write = (): ExpressResponse => {
      response.statusCode = reply.status;
      for (const [name, value] of reply.headers) response.setHeader(name, value);
      if (this.raw.method === 'HEAD') response.end();
      else response.end(reply.body, reply.encoding);
      return response;
    };
    response.send = write;
    response.json = write;
    // Nest sets a status after the handler only to answer an error.
    response.status = (code) => {
      if (code !== reply.status) restore();
      return status.call(response, code);
    };
  }

  capture(onSend: (sent: Sent) => () => void): void {
    const response = this.#response;
    const { send } = response;
    response.send = (body) => {
      // An object comes back as the text it is serialised to.
      if (isJson(body)) return send.call(response, body);
      response.send = send;
      const written = onSend({ status: response.statusCode, body: bytesOf(body) });
      const result = send.call(response, body);
      written();
      return result;
    };
  }
}

function isJson(body: unknown): boolean {
  if (typeof body === 'number' || typeof body === 'boolean') return true;
  return typeof body === 'object' && body !== null && !ArrayBuffer.isView(body);
}

function bytesOf(body: unknown): string | Uint8Array {
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  return typeof body === 'string' ? body : '';
}
