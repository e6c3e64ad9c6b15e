/** An exchange of Express. */
import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http';
import { bytesOf, isAbandoned, onceWritten, type Exchange, type Reply, type Witness } from './exchange.js';

type Send = (this: unknown, body?: unknown) => unknown;

interface ExpressResponse extends ServerResponse {
  send: Send;
  json: Send;
}

const NO_CONTENT = 204;
const NOT_MODIFIED = 304;

export class ExpressExchange implements Exchange {
  readonly raw: IncomingMessage;
  readonly platformRoute = undefined;
  readonly #response: ExpressResponse;
  /** Of the whole answer, when Express has made a 304 of it. */
  #type: OutgoingHttpHeader | undefined;

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

  get status(): number {
    return this.#response.statusCode;
  }

  get abandoned(): boolean {
    return isAbandoned(this.raw, this.#response);
  }

  answered(name: string): OutgoingHttpHeader | undefined {
    if (name === 'content-type' && this.status === NOT_MODIFIED) return this.#type;
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

  send(reply: Reply): void {
    const response = this.#response;
    response.statusCode = reply.status;
    for (const [name, value] of reply.headers) response.setHeader(name, value);
    if (this.raw.method === 'HEAD') response.end();
    else response.end(reply.body, reply.encoding);
  }

  serve(reply: Reply): void {
    const response = this.#response;
    const { send, json } = response;
    const write = (original: Send, body: unknown): unknown => {
      response.send = send;
      response.json = json;
      if (response.statusCode !== reply.status) return original.call(response, body);
      this.send(reply);
      return response;
    };
    // Now, so that a status that differs later is somebody else's: that of an error.
    response.statusCode = reply.status;
    response.send = (body) => write(send, body);
    response.json = (body) => write(json, body);
  }

  capture(witness: Witness): void {
    const response = this.#response;
    const { send } = response;
    response.once('pipe', () => witness.streamed());
    response.send = (body) => {
      // An object comes back as the text it is serialised to.
      if (isJson(body)) return send.call(response, body);
      response.send = send;
      const written = witness.sent({ status: response.statusCode, body: bytesOf(body) });
      if (response.statusCode !== NO_CONTENT) this.#noteType();
      const result = send.call(response, body);
      onceWritten(response, written);
      return result;
    };
  }

  /** Express asks for `fresh` when the type is known, and takes the type off what becomes a 304. */
  #noteType(): void {
    const { raw } = this;
    const fresh = (): unknown => {
      Reflect.deleteProperty(raw, 'fresh');
      this.#type = this.#response.getHeader('content-type');
      return Reflect.get(raw, 'fresh');
    };
    Object.defineProperty(raw, 'fresh', { configurable: true, get: fresh });
  }
}

function isJson(body: unknown): boolean {
  if (typeof body === 'number' || typeof body === 'boolean') return true;
  return typeof body === 'object' && body !== null && !ArrayBuffer.isView(body);
}
