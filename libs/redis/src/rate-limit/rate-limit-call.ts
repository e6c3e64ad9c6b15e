/**
 * The call that is limited, read by its shape: HTTP on Express or Fastify, GraphQL, WebSocket, RPC. None of their
 * packages is imported, so none has to be there.
 */
import type { ClientAddress } from './client-address.js';

/** What of Nest's ExecutionContext is used. */
export interface CallContext {
  getType(): string;
  getArgs(): unknown[];
  getClass(): object;
  getHandler(): object;
}

type Fields = Readonly<Record<string, unknown>>;

const NO_FIELDS: Fields = {};

export class RateLimitCall {
  /** `'http'`, `'graphql'`, `'ws'`, `'rpc'`. */
  readonly kind: string;
  /** The request of the framework, or what stands for it: the client of a socket, the context of a message. */
  readonly request: Fields;
  /** Where headers are set; undefined where there are none. */
  readonly response: object | undefined;
  readonly #addresses: ClientAddress;
  #address: string | undefined;

  constructor(parts: { kind: string; request: unknown; response: unknown }, addresses: ClientAddress) {
    this.kind = parts.kind;
    this.request = fieldsOf(parts.request) ?? NO_FIELDS;
    this.response = fieldsOf(parts.response);
    this.#addresses = addresses;
  }

  /** The client's IPv4 address or IPv6 network, as seen through the trusted proxies; `'unknown'` without one. */
  get ip(): string {
    this.#address ??= this.#addresses.of({
      remoteAddress: remoteAddressOf(this.request),
      forwardedFor: listOrText(this.#headers['x-forwarded-for']),
    });
    return this.#address;
  }

  /** What an authentication has left: `request.user`, and on a socket `client.user` or `client.data.user`. */
  get user(): unknown {
    return this.request['user'] ?? fieldsOf(this.request['data'])?.['user'] ?? this.#handshake?.['user'];
  }

  header(name: string): string | undefined {
    const value = this.#headers[name.toLowerCase()];
    return typeof value === 'string' ? value : undefined;
  }

  get #headers(): Fields {
    return fieldsOf(this.request['headers']) ?? fieldsOf(this.#handshake?.['headers']) ?? NO_FIELDS;
  }

  /** A socket's own request: Socket.IO keeps it as `handshake`, for others whoever accepts them may keep it. */
  get #handshake(): Fields | undefined {
    const { request } = this;
    return fieldsOf(request['handshake']) ?? fieldsOf(request['request']) ?? fieldsOf(request['upgradeReq']);
  }
}

export function readCall(context: CallContext, addresses: ClientAddress): RateLimitCall {
  const kind = context.getType();
  const [first, second, third] = context.getArgs();
  switch (kind) {
    case 'graphql': {
      const graphql = fieldsOf(third) ?? NO_FIELDS;
      const reply = fieldsOf(graphql['reply']);
      const request = graphql['req'] ?? graphql['request'] ?? reply?.['request'] ?? graphql;
      return new RateLimitCall({ kind, request, response: graphql['res'] ?? reply }, addresses);
    }
    case 'ws':
      return new RateLimitCall({ kind, request: first, response: undefined }, addresses);
    case 'rpc':
      return new RateLimitCall({ kind, request: second, response: undefined }, addresses);
    default:
      return new RateLimitCall({ kind, request: first, response: second }, addresses);
  }
}

/** Of the socket: `request.ip` would be what the framework made of headers by rules of its own. */
function remoteAddressOf(request: Fields): string | undefined {
  return (
    addressAt(request['raw']) ??
    addressAt(request) ??
    addressAt(request['request']) ??
    addressAt(request['handshake']) ??
    addressAt(request['upgradeReq']) ??
    addressAt(callIfThere(request, 'getSocketRef'))
  );
}

function addressAt(place: unknown): string | undefined {
  const fields = fieldsOf(place);
  if (fields === undefined) return undefined;
  const socket = fieldsOf(fields['socket']) ?? fieldsOf(fields['_socket']) ?? fieldsOf(fields['conn']);
  return textOf(socket?.['remoteAddress']) ?? textOf(fields['remoteAddress']) ?? textOf(fields['address']);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function callIfThere(owner: Fields, name: string): unknown {
  const method = owner[name];
  return typeof method === 'function' ? (method as () => unknown).call(owner) : undefined;
}

function listOrText(value: unknown): string | readonly string[] | undefined {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.map(String) : undefined;
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined;
}
