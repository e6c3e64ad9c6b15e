/**
 * The same request once more, with nobody at the other end: how an answer that has gone stale is made anew behind its
 * readers. It passes middleware, guards, interceptors and serializers as the first one did, so that the bytes are
 * those a client would have been sent.
 */
import { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Hands a request to the application, as its server does. */
export type Dispatch = (request: IncomingMessage, response: ServerResponse) => void;

/** Headers by which the client asked for less than the whole answer. */
const PARTIAL = new Set([
  'if-none-match',
  'if-modified-since',
  'if-range',
  'range',
  'cache-control',
  'pragma',
  'content-length',
  'transfer-encoding',
  'expect',
  'upgrade',
]);

/** Swallows what is written, and tells where the first request came from. */
class ShadowSocket extends Duplex {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly remoteFamily: string | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly encrypted: unknown;

  constructor(original: Socket) {
    super();
    this.remoteAddress = original.remoteAddress;
    this.remotePort = original.remotePort;
    this.remoteFamily = original.remoteFamily;
    this.localAddress = original.localAddress;
    this.localPort = original.localPort;
    this.encrypted = Reflect.get(original, 'encrypted');
  }

  override _read(): void {
    // Nobody says anything here.
  }

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }
}

/** What a repetition needs of a request; taken while it is alive, for it may be gone when the time comes. */
export interface Origin {
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly socket: Socket;
}

/** @returns the request, and a promise of the end of its response */
export function repeat(
  origin: Origin,
  dispatch: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<void> {
  const socket = new ShadowSocket(origin.socket) as unknown as Socket;
  const request = new IncomingMessage(socket);
  request.method = 'GET';
  request.url = origin.url;
  request.httpVersion = '1.1';
  request.httpVersionMajor = 1;
  request.httpVersionMinor = 1;
  request.complete = true;
  const kept = Object.entries(origin.headers).filter(([name]) => !PARTIAL.has(name));
  request.headers = Object.fromEntries(kept);
  request.rawHeaders = kept.flatMap(([name, value]) => [value].flat().flatMap((each) => [name, each ?? '']));
  request.push(null);
  const response = new ServerResponse(request);
  response.assignSocket(socket);
  const ended = new Promise<void>((resolve) => {
    response.once('close', resolve);
    response.once('finish', () => {
      response.detachSocket(socket);
      socket.destroy();
      resolve();
    });
  });
  dispatch(request, response);
  return ended;
}
