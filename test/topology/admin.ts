/**
 * A tiny RESP2 client for commanding a server from a test. It shares no code with the library under test, so a fault
 * of the library cannot hide itself here. One connection per call.
 */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export type Reply = string | number | null | Reply[];

export interface AdminTarget {
  readonly port: number;
  readonly host?: string;
  readonly username?: string;
  readonly password?: string;
  /** PEM of the authority to trust and of the client's own certificate; present means TLS. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
  /** Milliseconds until the call fails (a frozen server never answers). @default 5000 */
  readonly timeout?: number;
}

/** An error reply of the server, such as `NOAUTH Authentication required.` */
export class AdminReplyError extends Error {
  override readonly name = 'AdminReplyError';
}

interface Parsed {
  readonly value: Reply | AdminReplyError;
  readonly next: number;
}

export function encodeCommand(args: readonly (string | number | Buffer)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}

function parseArray(buffer: Buffer, from: number, length: number): Parsed | undefined {
  const items: Reply[] = [];
  let next = from;
  for (let index = 0; index < length; index += 1) {
    const item = parseReply(buffer, next);
    if (item === undefined) return undefined;
    items.push(item.value instanceof AdminReplyError ? item.value.message : item.value);
    next = item.next;
  }
  return { value: items, next };
}

/** The reply that starts at `from`, or `undefined` when more bytes are needed. */
export function parseReply(buffer: Buffer, from = 0): Parsed | undefined {
  const lineEnd = buffer.indexOf('\r\n', from);
  if (lineEnd === -1) return undefined;
  const line = buffer.toString('utf8', from + 1, lineEnd);
  const next = lineEnd + 2;
  const type = String.fromCharCode(buffer[from] ?? 0);
  if (type === '+') return { value: line, next };
  if (type === '-') return { value: new AdminReplyError(line), next };
  if (type === ':') return { value: Number(line), next };
  if (type !== '$' && type !== '*') throw new Error(`Not RESP2: a reply starts with ${JSON.stringify(type)}`);
  const length = Number(line);
  if (length === -1) return { value: null, next };
  if (type === '*') return parseArray(buffer, next, length);
  if (buffer.length < next + length + 2) return undefined;
  return { value: buffer.toString('utf8', next, next + length), next: next + length + 2 };
}

function open({ host = '127.0.0.1', port, tls }: AdminTarget): Socket {
  // Nothing is checked: tests of a wrong certificate still need to command their server.
  return tls
    ? connectTls({ host, port, ca: tls.ca, cert: tls.cert, key: tls.key, rejectUnauthorized: false })
    : connectPlain({ host, port, noDelay: true });
}

/** The reply after `logins` replies to AUTH, each of which must be good. */
async function receive(socket: Socket, logins: number): Promise<Reply> {
  let received: Buffer = Buffer.alloc(0);
  let skip = logins;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    received = Buffer.concat([received, chunk]);
    for (let parsed = parseReply(received); parsed !== undefined; parsed = parseReply(received)) {
      if (parsed.value instanceof AdminReplyError) throw parsed.value;
      if (skip === 0) return parsed.value;
      skip -= 1;
      received = received.subarray(parsed.next);
    }
  }
  throw new Error('the connection was closed before the reply');
}

/** Sends one command and resolves with its reply; an error reply rejects with {@link AdminReplyError}. */
export async function admin(to: number | AdminTarget, ...args: (string | number | Buffer)[]): Promise<Reply> {
  const target = typeof to === 'number' ? { port: to } : to;
  const { port, username = 'default', password, timeout = 5000 } = target;
  const logins = password === undefined ? [] : [encodeCommand(['AUTH', username, password])];
  const socket = open(target);
  const timer = setTimeout(() => {
    socket.destroy(new Error(`no reply to ${String(args[0])} from port ${port} in ${timeout} ms`));
  }, timeout);
  try {
    socket.write(Buffer.concat([...logins, encodeCommand(args)]));
    return await receive(socket, logins.length);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

/** `key:value` lines of INFO and CLUSTER INFO as a record. */
export function infoFields(reply: Reply): Readonly<Record<string, string | undefined>> {
  const fields: Record<string, string> = {};
  for (const line of String(reply).split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1);
  }
  return fields;
}
