/** The main-process side of shared.ts: starts each topology once, at the first request, and stops them all. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { startCluster } from './cluster.js';
import { startSentinel, type Address } from './sentinel.js';
import type { BrokerAnswer, SharedKind, SharedTopologies } from './shared.js';
import { startShards } from './shards.js';
import { startStandalone } from './standalone.js';
import { stopTogether } from './start-together.js';

const SHARDS = 4;

interface Started<T> {
  readonly topology: T;
  readonly addresses: readonly Address[];
  stop(): Promise<void>;
}

const addressOf = ({ host, port }: Address): Address => ({ host, port });

const STARTERS: { readonly [K in SharedKind]: () => Promise<Started<SharedTopologies[K]>> } = {
  async standalone() {
    const server = await startStandalone();
    const topology = { ...addressOf(server), url: server.url };
    return { topology, addresses: [topology], stop: () => server.stop() };
  },
  async sentinel() {
    const set = await startSentinel();
    const servers = set.processes.servers.map(addressOf);
    const topology = { name: set.name, sentinels: set.sentinels, servers };
    return { topology, addresses: [...set.sentinels, ...servers], stop: () => set.stop() };
  },
  async cluster() {
    const cluster = await startCluster();
    const nodes = cluster.nodes.map(addressOf);
    return { topology: { nodes }, addresses: nodes, stop: () => cluster.stop() };
  },
  async shards() {
    const started = await startShards(SHARDS);
    const nodes = started.shards.map(addressOf);
    return { topology: { urls: started.urls, nodes }, addresses: nodes, stop: () => started.stop() };
  },
  async tls() {
    const server = await startStandalone({ tls: true });
    if (server.tls === undefined) throw new Error('A TLS server has TLS material');
    const topology = { ...addressOf(server), url: server.url, tls: server.tls };
    return { topology, addresses: [topology], stop: () => server.stop() };
  },
};

function isSharedKind(kind: string): kind is SharedKind {
  return Object.hasOwn(STARTERS, kind);
}

export class TopologyBroker {
  readonly #started = new Map<SharedKind, Promise<Started<unknown>>>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(): Promise<TopologyBroker> {
    const server = createServer();
    const broker = new TopologyBroker(server);
    server.on('connection', (socket) => void broker.#serve(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return broker;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The topology broker is closed');
    return address.port;
  }

  /** Stops every topology and resolves with the addresses they had. */
  async close(): Promise<Address[]> {
    this.#server.close();
    const results = await Promise.allSettled(this.#started.values());
    const started = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    await stopTogether(started);
    return started.flatMap(({ addresses }) => addresses);
  }

  async #serve(socket: Socket): Promise<void> {
    // A worker that dies while it waits is no concern of the others.
    socket.on('error', () => socket.destroy());
    // A request is one short word, so it comes in one piece.
    const [word] = (await once(socket, 'data').catch(() => [''])) as [Buffer | string];
    socket.end(JSON.stringify(await this.#answer(String(word))));
  }

  async #answer(kind: string): Promise<BrokerAnswer> {
    if (!isSharedKind(kind)) return { error: `there is no shared topology "${kind}"` };
    try {
      const { topology } = await this.#start(kind);
      return { topology };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }

  #start(kind: SharedKind): Promise<Started<unknown>> {
    const started = this.#started.get(kind) ?? STARTERS[kind]();
    this.#started.set(kind, started);
    return started;
  }
}
