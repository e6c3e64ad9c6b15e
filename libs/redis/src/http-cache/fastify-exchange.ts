/** An exchange of Fastify. */
import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http';
import { bytesOf, isAbandoned, onceWritten, type Exchange, type Reply, type Witness } from './exchange.js';
import { textOf } from './answer-policy.js';

type Send = (this: unknown, body?: unknown) => unknown;

interface FastifyReply {
  readonly raw: ServerResponse;
  readonly statusCode: number;
  send: Send;
  code(code: number): unknown;
  serializer(serialize: (body: never) => unknown): FastifyReply;
  header(name: string, value: string): unknown;
  getHeader(name: string): OutgoingHttpHeader | undefined;
  serialize(body: unknown): unknown;
}

/** Under which a route's own mark stands in its `config`. */
export const PLATFORM_ROUTE = Symbol('anbar:route');
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

  get platformRoute(): unknown {
    const { routeOptions } = this.request as { readonly routeOptions?: { readonly config?: unknown } };
    const config = routeOptions?.config as { readonly [PLATFORM_ROUTE]?: unknown } | undefined;
    return config?.[PLATFORM_ROUTE];
  }

  get status(): number {
    return this.#reply.statusCode;
  }

  get abandoned(): boolean {
    return isAbandoned(this.raw, this.#reply.raw);
  }

  answered(name: string): OutgoingHttpHeader | undefined {
    return this.#reply.getHeader(name);
  }

  setHeader(name: string, value: string): void {
    this.#reply.header(name, value);
  }

  onClose(callback: () => void): void {
    // A client that waited for somebody else's load may be gone by now.
    if (this.#reply.raw.closed) queueMicrotask(callback);
    else this.#reply.raw.once('close', callback);
  }

  send(reply: Reply): unknown {
    const response = this.#reply;
    response.code(reply.status);
    for (const [name, value] of reply.headers) response.header(name, value);
    if (reply.status === NOT_MODIFIED || reply.body === '') return response.send();
    // A text leaves in one piece with the head. It is serialised already, and no serializer touches it again.
    if (reply.text) return response.serializer(asItIs).send(reply.body);
    return response.send(Buffer.from(reply.body, reply.encoding));
  }

  serve(reply: Reply): void {
    const response = this.#reply;
    const { send } = response;
    // Now, so that a status that differs later is somebody else's: that of an error.
    response.code(reply.status);
    response.send = (body) => {
      response.send = send;
      return response.statusCode === reply.status ? this.send(reply) : send.call(response, body);
    };
  }

  capture(witness: Witness): void {
    const response = this.#reply;
    const { send, raw } = response;
    response.send = (body) => {
      response.send = send;
      if (isStream(body)) witness.streamed();
      if (body instanceof Error || isStream(body)) return send.call(response, body);
      if (isData(body)) {
        this.#captureSerialised(witness);
        return send.call(response, body);
      }
      const written = witness.sent({ status: response.statusCode, body: bytesOf(body) });
      const result = send.call(response, body);
      onceWritten(raw, written);
      return result;
    };
    // Of a handler that writes to what lies below.
    raw.once('pipe', () => witness.streamed());
  }

  /**
   * Where Fastify makes a text of what its `preSerialization` hooks have left, so that hooks, schemas and serializers
   * have had their say. The text is made as it would have been: by a reply as it is now.
   */
  #captureSerialised(witness: Witness): void {
    const response = this.#reply;
    const before = Object.create(
      Object.getPrototypeOf(response) as object,
      Object.getOwnPropertyDescriptors(response),
    ) as FastifyReply;
    this.#typedAsJson();
    response.serializer((payload) => {
      const text = before.serialize(payload);
      // Not when the serializer gave bytes: they are sent as they are, and not stored.
      if (typeof text !== 'string') return text;
      const written = witness.sent({ status: response.statusCode, body: text });
      // The head is written in this turn, unless an `onSend` hook waits for something.
      queueMicrotask(() => onceWritten(response.raw, written));
      return text;
    });
  }

  /** With a serializer Fastify leaves the type to whoever has set it. */
  #typedAsJson(): void {
    const type = textOf(this.#reply.getHeader('content-type'));
    if (type === '') this.#reply.header('content-type', 'application/json; charset=utf-8');
    else if (/json/iu.test(type) && !/;\s*charset=/iu.test(type)) {
      this.#reply.header('content-type', `${type}; charset=utf-8`);
    }
  }
}

/** What Fastify sends piece by piece. */
function isStream(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false;
  if (['pipe', 'getReader'].some((name) => name in body)) return true;
  return Object.prototype.toString.call(body) === '[object Response]';
}

/** What Fastify serialises: numbers, booleans and `null` too. */
function isData(body: unknown): boolean {
  return body !== undefined && typeof body !== 'string' && !ArrayBuffer.isView(body);
}

function asItIs(body: string): string {
  return body;
}
