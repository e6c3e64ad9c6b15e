/**
 * A plain RESP2 connection that keeps every byte, for comparing a server with the embedded keyspace. It
 * shares no code with the library, so a fault of the one cannot hide in the other.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export type ServerReply = Buffer | number | null | ServerError | readonly ServerReply[];

/** An error reply, as a value: in a comparison it is a result like any other. */
export class ServerError {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

export type WireArgument = string | number | Buffer;

interface Parsed {
  readonly reply: ServerReply;
  readonly next: number;
}

export class Resp2Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(port: number, host = '127.0.0.1'): Promise<Resp2Connection> {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, 'connect');
    return new Resp2Connection(socket);
  }

  /** Sends all at once and resolves with as many replies. One batch at a time. */
  async send(commands: readonly (readonly WireArgument[])[]): Promise<ServerReply[]> {
    this.#socket.write(Buffer.concat(commands.map(encode)));
    const replies: ServerReply[] = [];
    while (replies.length < commands.length) {
      const [chunk] = (await once(this.#socket, 'data')) as [Buffer];
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#take(replies);
    }
    return replies;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(replies: ServerReply[]): void {
    let at = 0;
    let parsed = parse(this.#received, at);
    while (parsed !== undefined) {
      replies.push(parsed.reply);
      at = parsed.next;
      parsed = parse(this.#received, at);
    }
    this.#received = this.#received.subarray(at);
  }
}

function encode(command: readonly WireArgument[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${command.length}\r\n`)];
  for (const argument of command) {
    const bytes = Buffer.isBuffer(argument) ? argument : Buffer.from(String(argument));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}

/** `undefined` while bytes are missing. */
function parse(buffer: Buffer, from: number): Parsed | undefined {
  const lineEnd = buffer.indexOf('\r\n', from);
  if (lineEnd === -1) return undefined;
  const line = buffer.subarray(from + 1, lineEnd);
  const next = lineEnd + 2;
  switch (String.fromCharCode(buffer[from] ?? 0)) {
    case '+':
      return { reply: Buffer.from(line), next };
    case '-':
      return { reply: new ServerError(line.toString()), next };
    case ':':
      return { reply: Number(line.toString()), next };
    case '$':
      return parseBulk(buffer, next, Number(line.toString()));
    case '*':
      return parseArray(buffer, next, Number(line.toString()));
    default:
      throw new Error('not RESP2');
  }
}

function parseBulk(buffer: Buffer, from: number, length: number): Parsed | undefined {
  if (length === -1) return { reply: null, next: from };
  if (buffer.length < from + length + 2) return undefined;
  return { reply: Buffer.from(buffer.subarray(from, from + length)), next: from + length + 2 };
}

function parseArray(buffer: Buffer, from: number, length: number): Parsed | undefined {
  if (length === -1) return { reply: null, next: from };
  const items: ServerReply[] = [];
  let next = from;
  while (items.length < length) {
    const item = parse(buffer, next);
    if (item === undefined) return undefined;
    items.push(item.reply);
    ({ next } = item);
  }
  return { reply: items, next };
}
