/**
 * One request and its answer as Node has them, on Express and on Fastify alike: what is written here passes by
 * interceptors and serializers of the application, which know nothing of it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Path and query as the client sent them. */
  readonly url: string;
}

/** `require-trusted-types-for` makes the browser itself refuse whatever would turn text into markup. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'x-robots-tag': 'noindex',
};

interface FastifyReply {
  readonly raw: ServerResponse;
  hijack(): unknown;
}

/** Takes the exchange over: from here on it is answered by us and by nobody else. */
export function takeOver(request: object, response: object): Exchange {
  const raw = isFastify(response) ? rawOfFastify(response) : asNode<ServerResponse>(response);
  const inner: unknown = Reflect.get(request, 'raw');
  const incoming = asNode<IncomingMessage>(isObject(inner) ? inner : request);
  const original: unknown = Reflect.get(request, 'originalUrl');
  const url = typeof original === 'string' ? original : (incoming.url ?? '/');
  return { request: incoming, response: raw, url };
}

export interface Body {
  readonly status?: number;
  readonly type: string;
  readonly bytes: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export function send({ request, response }: Exchange, { status = 200, type, bytes, headers }: Body): void {
  if (response.headersSent || response.destroyed) return;
  const length = Buffer.byteLength(bytes);
  // Whatever the application has set on the way is weaker or wrong here.
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    'cache-control': 'no-store',
    ...headers,
    'content-type': type,
    'content-length': length,
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

export function sendJson(
  exchange: Exchange,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  send(exchange, { type: 'application/json; charset=utf-8', bytes: JSON.stringify(body), headers });
}

export function sendEmpty(
  { response }: Exchange,
  status: number,
  headers: Readonly<Record<string, string>>,
): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { ...SECURITY_HEADERS, ...headers });
  response.end();
}

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export function refuse(status: number, code: string, message: string, hint?: string): Refusal {
  return { status, code, message, hint };
}

export function sendRefusal(
  exchange: Exchange,
  { status, code, message, hint, headers = {} }: Refusal,
): void {
  const bytes = JSON.stringify({ error: { code, message, ...(hint === undefined ? {} : { hint }) } });
  send(exchange, { status, type: 'application/json; charset=utf-8', bytes, headers });
}

function rawOfFastify(reply: FastifyReply): ServerResponse {
  reply.hijack();
  return reply.raw;
}

function isFastify(response: object): response is FastifyReply {
  return 'raw' in response && 'hijack' in response;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Boundary: both platforms hand over objects of Node's `http`, or what extends them. */
function asNode<T>(value: object): T {
  return value as T;
}
