/**
 * A server that fails every command that touches a key, and counts how often it was asked for which key. It is polite
 * otherwise, so that a client takes it for a good one and is left with its retries alone.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

export type Refusal = 'error-reply' | 'reset';

const POLITE: Readonly<Record<string, string>> = {
  HELLO: '%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n',
  ROLE: '*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n',
  PING: '+PONG\r\n',
  INFO: '$18\r\nredis_version:7.0\n\r\n',
};

export class RefusingServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Times a key was asked for. */
  readonly asked = new Map<string, number>();

  private constructor(refusal: Refusal) {
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket, refusal));
  }

  static async start(refusal: Refusal): Promise<RefusingServer> {
    const server = new RefusingServer(refusal);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket, refusal: Refusal): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    let unread = '';
    socket.on('data', (chunk: Buffer) => {
      const { commands, rest } = cutCommands(unread + chunk.toString('latin1'));
      unread = rest;
      for (const command of commands) this.#answer(socket, command, refusal);
    });
  }

  #answer(socket: Socket, [name = '', ...args]: readonly string[], refusal: Refusal): void {
    const word = name.toUpperCase();
    if (word === 'ECHO') socket.write(`$${args[0]?.length ?? 0}\r\n${args[0] ?? ''}\r\n`);
    else if (!['GET', 'MGET', 'INCR'].includes(word)) socket.write(POLITE[word] ?? '+OK\r\n');
    else {
      for (const key of args) this.asked.set(key, (this.asked.get(key) ?? 0) + 1);
      if (refusal === 'reset') socket.resetAndDestroy();
      else socket.write('-LOADING Redis is loading the dataset in memory\r\n');
    }
  }
}

/** Commands as clients write them, arrays of bulk strings, and what is not whole yet. */
function cutCommands(text: string): { commands: string[][]; rest: string } {
  const commands: string[][] = [];
  let from = 0;
  for (;;) {
    const cut = cutCommand(text, from);
    if (cut === undefined) return { commands, rest: text.slice(from) };
    commands.push(cut.words);
    from = cut.next;
  }
}

function cutCommand(text: string, from: number): { words: string[]; next: number } | undefined {
  const lineEnd = text.indexOf('\r\n', from);
  if (lineEnd === -1) return undefined;
  const words: string[] = [];
  let at = lineEnd + 2;
  for (let left = Number(text.slice(from + 1, lineEnd)); left > 0; left -= 1) {
    const end = text.indexOf('\r\n', at);
    if (end === -1) return undefined;
    const length = Number(text.slice(at + 1, end));
    if (text.length < end + 4 + length) return undefined;
    words.push(text.slice(end + 2, end + 2 + length));
    at = end + 4 + length;
  }
  return { words, next: at };
}
