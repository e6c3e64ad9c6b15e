/**
 * A TCP proxy between a client and a server that breaks the connection in the ways networks do. Scripted from a test
 * (`proxy.blackhole('both')`) or from the command line (fault-proxy.mjs). What needs to know a reply or a command from
 * another (swallow, cut, limit per command, counting) works on plain RESP, the rest on TLS too.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { FaultPipe, type Delivery } from './fault-pipe.js';
import { reservePort, type PortReservation } from './free-port.js';
import { RespFrames, type FramePiece } from './resp-frames.js';
import { seededRandom } from './seeded-random.js';

export interface FaultProxyOptions {
  /** The server behind the proxy. */
  readonly to: { readonly host?: string; readonly port: number };
  /** Port to listen on. @default a free one */
  readonly listen?: number;
  /** Seed of the jitter: the same seed gives the same delays. @default 1 */
  readonly seed?: number;
}

export type Direction = 'toServer' | 'toClient';

export interface ProxyStats {
  /** Connections accepted so far, and open now. */
  readonly connections: number;
  readonly open: number;
  /** Bytes handed on. */
  readonly toServer: number;
  readonly toClient: number;
  /** Commands handed on to the server, by name in upper case. */
  readonly commands: Readonly<Record<string, number>>;
}

/** What happens to a reply on its way to the client. */
type ReplyFate =
  | { readonly kind: 'pass' | 'drop' | 'drop-then-reset' }
  | { readonly kind: 'cut'; left: number; readonly end: 'rst' | 'fin' };

/**
 * Milliseconds between the last bytes and a reset. A receiver that finds both in one look at its socket is told of an end
 * instead of a reset: libuv turns the hang-up that follows a short read into EOF.
 */
const RESET_LAG = 10;

interface Faults {
  accept: 'relay' | 'close';
  held: readonly Direction[];
  latency: { readonly ms: number; readonly jitter: number };
  slice: Delivery['slice'];
  limit: { readonly bytes: number; readonly per: 'command' | 'total' } | undefined;
  /** How many of the next replies meet this fate; the ones after them pass. */
  replies: { readonly left: number; readonly fate: ReplyFate };
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  readonly pipes: Readonly<Record<Direction, FaultPipe>>;
  readonly requests: RespFrames;
  readonly replies: RespFrames;
  fate: ReplyFate;
  commandBytes: number;
  totalBytes: number;
}

const noFaults = (): Faults => ({
  accept: 'relay',
  held: [],
  latency: { ms: 0, jitter: 0 },
  slice: undefined,
  limit: undefined,
  replies: { left: 0, fate: { kind: 'pass' } },
});

export class FaultProxy {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #to: { readonly host: string; readonly port: number };
  readonly #random: () => number;
  readonly #links = new Set<Link>();
  readonly #sockets = new Set<Socket>();
  readonly #commands = new Map<string, number>();
  #listener: Server | undefined;
  #reservation: PortReservation | undefined;
  #faults = noFaults();
  #connections = 0;
  #bytes: Record<Direction, number> = { toServer: 0, toClient: 0 };

  private constructor({ to, seed = 1 }: FaultProxyOptions, port: number) {
    this.#to = { host: to.host ?? '127.0.0.1', port: to.port };
    this.#random = seededRandom(seed);
    this.port = port;
  }

  /** Opens a proxy that passes everything. */
  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const reservation = options.listen === undefined ? await reservePort() : undefined;
    const proxy = new FaultProxy(options, reservation?.port ?? options.listen ?? 0);
    proxy.#reservation = reservation;
    await proxy.#listen();
    return proxy;
  }

  get stats(): ProxyStats {
    const commands = Object.fromEntries(this.#commands);
    return { connections: this.#connections, open: this.#links.size, ...this.#bytes, commands };
  }

  /** How often the command was handed on to the server. */
  count(command: string): number {
    return this.#commands.get(command.toUpperCase()) ?? 0;
  }

  resetStats(): void {
    this.#connections = 0;
    this.#bytes = { toServer: 0, toClient: 0 };
    this.#commands.clear();
  }

  /** Ends every fault: listens again, and what was held moves on. */
  async pass(): Promise<void> {
    this.#faults = noFaults();
    this.#applyHold();
    if (this.#listener === undefined) await this.#listen();
  }

  /** Makes a round trip `ms` longer, half each way, and each way up to `jitter / 2` more. */
  latency(ms: number, jitter = 0): void {
    this.#faults.latency = { ms, jitter };
  }

  /** Lets nothing through one way or both, on old and new connections; bytes wait, as they do on a dead link. */
  blackhole(direction: Direction | 'both'): void {
    this.#faults.held = direction === 'both' ? ['toServer', 'toClient'] : [direction];
    this.#applyHold();
  }

  /** Drops the next `count` complete replies and nothing else; RESP3 push messages are no replies. */
  swallow(count = 1): void {
    this.#faults.replies = { left: count, fate: { kind: 'drop' } };
  }

  /** Drops the next reply and resets its connection: the command is done, its sender cannot know. */
  swallowThenReset(): void {
    this.#faults.replies = { left: 1, fate: { kind: 'drop-then-reset' } };
  }

  /** Hands on the first `bytes` bytes from the next reply on, then ends its connection. */
  cut(bytes: number, end: 'rst' | 'fin' = 'rst'): void {
    this.#faults.replies = { left: 1, fate: { kind: 'cut', left: bytes, end } };
  }

  /** Resets every open connection. */
  rst(): void {
    for (const link of this.#links) this.#reset(link);
  }

  /** Closes every open connection towards the server only: clients keep a connection that nobody answers. */
  halfOpen(): void {
    const links = [...this.#links];
    // What is no link any more is neither relayed nor closed on the other side.
    this.#links.clear();
    for (const { server } of links) server.destroy();
  }

  /** Hands bytes on `size` at a time, `every` milliseconds apart, both ways. */
  slice(size: number, every = 0): void {
    this.#faults.slice = { size, every };
  }

  /** Resets a connection whose client sends more than `bytes` in one command, or in total. */
  limit(bytes: number, per: 'command' | 'total' = 'command'): void {
    this.#faults.limit = { bytes, per };
  }

  /** Accepts new connections and closes them at once. */
  acceptThenClose(): void {
    this.#faults.accept = 'close';
  }

  /** Stops listening: new connections are refused, open ones stay. `pass()` listens again. */
  async refuse(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    // Not awaited to the end: `close` only reports when the last open connection is gone.
    listener?.close();
    await new Promise(setImmediate);
  }

  async stop(): Promise<void> {
    const closed = this.#listener && once(this.#listener, 'close');
    this.#listener?.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    this.#reservation?.release();
  }

  async #listen(): Promise<void> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.#accept(client);
    });
    listener.listen(this.port, this.host);
    await once(listener, 'listening');
    this.#listener = listener;
  }

  #accept(client: Socket): void {
    this.#connections += 1;
    this.#track(client);
    if (this.#faults.accept === 'close') {
      client.end();
      client.resume();
      return;
    }
    const server = connect({ ...this.#to, allowHalfOpen: true, noDelay: true });
    this.#track(server);
    const delivery = () => this.#delivery();
    const link: Link = {
      client,
      server,
      pipes: {
        toServer: new FaultPipe(client, server, delivery),
        toClient: new FaultPipe(server, client, delivery),
      },
      requests: new RespFrames(),
      replies: new RespFrames(),
      fate: { kind: 'pass' },
      commandBytes: 0,
      totalBytes: 0,
    };
    this.#links.add(link);
    this.#relay(link);
    this.#applyHold();
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // Reported by `close`; without a listener an error would end the process.
    socket.on('error', () => undefined);
  }

  #relay(link: Link): void {
    const { client, server, pipes } = link;
    client.on('data', (chunk: Buffer) => {
      for (const piece of link.requests.cut(chunk)) if (this.#links.has(link)) this.#request(link, piece);
    });
    server.on('data', (chunk: Buffer) => {
      for (const piece of link.replies.cut(chunk)) if (this.#links.has(link)) this.#reply(link, piece);
    });
    client.on('end', () => {
      pipes.toServer.atEnd(() => server.end());
    });
    server.on('end', () => {
      pipes.toClient.atEnd(() => client.end());
    });
    const closed = (hadError: boolean) => {
      if (this.#links.delete(link) && hadError) this.#reset(link);
    };
    client.on('close', closed);
    server.on('close', closed);
  }

  #request(link: Link, piece: FramePiece): void {
    const { limit } = this.#faults;
    link.commandBytes = piece.bytes.length + (piece.starts ? 0 : link.commandBytes);
    link.totalBytes += piece.bytes.length;
    if (limit && (limit.per === 'command' ? link.commandBytes : link.totalBytes) > limit.bytes) {
      this.#reset(link);
      return;
    }
    if (piece.ends) this.#commands.set(piece.name, this.count(piece.name) + 1);
    this.#send(link, 'toServer', piece.bytes);
  }

  #reply(link: Link, piece: FramePiece): void {
    if (piece.starts && link.fate.kind !== 'cut')
      link.fate = piece.type === '>' ? { kind: 'pass' } : this.#nextFate();
    const { fate } = link;
    switch (fate.kind) {
      case 'pass':
        this.#send(link, 'toClient', piece.bytes);
        return;
      case 'drop':
        return;
      case 'drop-then-reset':
        if (piece.ends) this.#reset(link);
        return;
      case 'cut':
        this.#cut(link, fate, piece.bytes);
    }
  }

  #nextFate(): ReplyFate {
    const { left, fate } = this.#faults.replies;
    if (left === 0) return { kind: 'pass' };
    this.#faults.replies = { left: left - 1, fate };
    return fate;
  }

  #cut(link: Link, fate: Extract<ReplyFate, { kind: 'cut' }>, bytes: Buffer): void {
    const part = bytes.subarray(0, fate.left);
    fate.left -= part.length;
    if (part.length > 0) this.#send(link, 'toClient', part);
    if (fate.left > 0) return;
    link.server.removeAllListeners('data').pause();
    link.pipes.toClient.atEnd(() => {
      if (fate.end === 'rst') setTimeout(() => this.#reset(link), RESET_LAG);
      else this.#end(link);
    });
  }

  #reset(link: Link): void {
    this.#links.delete(link);
    link.client.resetAndDestroy();
    link.server.resetAndDestroy();
  }

  #end(link: Link): void {
    this.#links.delete(link);
    link.client.end();
    link.server.destroy();
  }

  #send(link: Link, direction: Direction, bytes: Buffer): void {
    this.#bytes[direction] += bytes.length;
    link.pipes[direction].send(bytes);
  }

  #delivery(): Delivery {
    const { latency, slice } = this.#faults;
    const jitter = latency.jitter === 0 ? 0 : this.#random() * latency.jitter;
    return { delay: (latency.ms + jitter) / 2, slice };
  }

  #applyHold(): void {
    for (const { pipes } of this.#links) {
      for (const direction of ['toServer', 'toClient'] as const) {
        if (this.#faults.held.includes(direction)) pipes[direction].hold();
        else pipes[direction].release();
      }
    }
  }
}

/** Opens a proxy that passes everything to `to`. */
export function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  return FaultProxy.start(options);
}
