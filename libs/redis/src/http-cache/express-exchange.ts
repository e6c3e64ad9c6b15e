/** An exchange of Express. */
import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http';
import { bytesOf, type Exchange, type Reply } from './exchange.js';
import type { Sent } from './stored-answer.js';

type Send = (this: unknown, body?: unknown) => unknown;

interface ExpressResponse extends ServerResponse {
  send: Send;
  json: Send;
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
    // A client that waited for somebody else's load may be gone by now.
    if (this.#response.closed) queueMicrotask(callback);
    else this.#response.once('close', callback);
  }

  serve(reply: Reply): void {
    const response = this.#response;
    const { send, json } = response;
    const write = (original: Send, body: unknown): unknown => {
      response.send = send;
      response.json = json;
      if (response.statusCode !== reply.status) return original.call(response, body);
      for (const [name, value] of reply.headers) response.setHeader(name, value);
      if (this.raw.method === 'HEAD') response.end();
      else response.end(reply.body, reply.encoding);
      return response;
    };
    // Now, so that a status that differs later is somebody else's: that of an error.
    response.statusCode = reply.status;
    response.send = (body) => write(send, body);
    response.json = (body) => write(json, body);
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
