/**
 * A request and its response, on Express or Fastify. An answer goes out through the framework's own `send`, in the
 * place of whatever Nest would have sent: interceptors around the handler have done their part by then, and may still
 * fail, in which case the error is answered and not what was stored.
 */
import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http';
import type { Sent } from './stored-answer.js';

/** What goes out in place of the handler's answer. */
export interface Reply {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** By which the body becomes bytes. */
  readonly encoding: 'utf8' | 'latin1';
  /** The body is a text, not bytes in the form of one. */
  readonly text: boolean;
}

type WriteHead = (...args: readonly unknown[]) => ServerResponse;

/** What is told of an answer on its way. */
export interface Witness {
  /** Comes before the bytes are written, and may set headers; what it returns comes behind the head. */
  sent(sent: Sent): () => void;
  /** The body goes out piece by piece. */
  streamed(): void;
}

export interface Exchange {
  /** As the framework hands it to guards. */
  readonly request: object;
  readonly raw: IncomingMessage;
  readonly method: string;
  /** Path and query as they came. */
  readonly url: string;
  /** Which of its routes the platform has chosen. Undefined on Express, where routes are tried one after the other. */
  readonly platformRoute: unknown;
  /** Of the answer so far. */
  readonly status: number;
  /** The client has left before it was answered. */
  readonly abandoned: boolean;
  /** What the answer says so far. */
  answered(name: string): OutgoingHttpHeader | undefined;
  setHeader(name: string, value: string): void;
  /** Sends it. */
  send(reply: Reply): void;
  /** Has this sent instead of what Nest will hand over. */
  serve(reply: Reply): void;
  /** Looks at what is sent. Nothing is told of answers that are written past the framework. */
  capture(witness: Witness): void;
  onClose(callback: () => void): void;
}

/** Whether the other end is closed; a client that has only said so is one that Node gives up, too. */
export function isAbandoned({ socket }: IncomingMessage, response: ServerResponse): boolean {
  return !response.writableFinished && (response.closed || socket.destroyed || socket.readableEnded);
}

/** Tells when the head has been written, which a session library or an `onSend` hook may put off. */
export function onceWritten(response: ServerResponse, written: () => void): void {
  if (response.headersSent) {
    written();
    return;
  }
  let told = false;
  const tell = (): void => {
    if (told || !response.headersSent) return;
    told = true;
    written();
  };
  const writeHead = response.writeHead.bind(response) as WriteHead;
  response.writeHead = (...args: readonly unknown[]) => {
    const result = writeHead(...args);
    tell();
    return result;
  };
  // Who holds an answer back may undo that, for they restore what they found. This waits for no client.
  response.once('prefinish', tell);
}

export interface RequestHeaders {
  readonly raw: { readonly headers: IncomingMessage['headers'] };
}

export function requestHeader({ raw }: RequestHeaders, name: string): string | undefined {
  const value = raw.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

/** Of a body that is sent as it is; an empty text for none. */
export function bytesOf(body: unknown): string | Uint8Array {
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  return typeof body === 'string' ? body : '';
}

interface HttpHost {
  getArgByIndex(index: number): unknown;
}

/** Of Nest's execution context, when it is one of HTTP. */
export function partsOf(
  context: object,
): { readonly request: object; readonly response: object } | undefined {
  const host = context as HttpHost;
  const request = host.getArgByIndex(0);
  const response = host.getArgByIndex(1);
  if (typeof request !== 'object' || request === null) return undefined;
  return typeof response === 'object' && response !== null ? { request, response } : undefined;
}
