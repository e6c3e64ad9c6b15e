/**
 * Processes and shards within this process: each process has its own line to each shard, on which calls can be held
 * up or refused by name, so that two of them can be led into the very order that is to be tried.
 */
import { expect, onTestFinished, vi } from 'vitest';
import { ShardedCache } from '@anbar/nestjs-redis/cache';
import {
  createClient,
  NotConnectedError,
  PassingClient,
  resolveConnection,
  type Arg,
  type CallOptions,
  type ClientEvents,
  type RedisClient,
  type Reply,
  type ScanOptions,
  type Script,
  type SubscribeOptions,
  type Subscription,
} from '@anbar/nestjs-redis/connection';

/** A server, and the id of its run; all lines to it fail while it is away. */
export interface Server {
  readonly client: RedisClient;
  readonly runId: string;
  isAway: boolean;
  /** Names of calls that it refuses, on whatever line. */
  readonly refused: Set<string>;
}

/** A server as one process sees it. */
class Line extends PassingClient {
  override readonly topology = 'standalone';
  readonly #server: Server;
  readonly #isCut: () => boolean;
  readonly #held = new Map<string, Promise<void>>();
  readonly #refused = new Set<string>();
  readonly #onLost = new Set<(detail: ClientEvents['lost']) => void>();
  /** Hears of no change that is announced. */
  isDeaf = false;
  isClosed = false;
  /** Walks over all keys that were begun. */
  walks = 0;

  constructor(server: Server, isCut: () => boolean) {
    super(server.client);
    this.#server = server;
    this.#isCut = isCut;
  }

  /** From here on calls of that name wait; what it gives lets them go. */
  hold(name: string): () => void {
    let release: () => void = () => undefined;
    this.#held.set(name, new Promise<void>((resolve) => (release = resolve)));
    return () => {
      this.#held.delete(name);
      release();
    };
  }

  refuse(name: string): () => void {
    this.#refused.add(name);
    return () => void this.#refused.delete(name);
  }

  /** It is made anew at once; whether the same server answers is to be found out. */
  loseConnection(): void {
    for (const tell of this.#onLost) tell({ node: this.name, reason: 'reset' });
  }

  override async connect(): Promise<void> {
    await this.#passing('CONNECT');
  }

  /** The server belongs to all processes. */
  override disconnect(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  override async command<R extends Reply = Reply>(
    name: string,
    args: readonly Arg[],
    options?: CallOptions,
  ): Promise<R> {
    await this.#passing(name);
    if (name === 'INFO') return `run_id:${this.#server.runId}` as R;
    return super.command<R>(name, args, options);
  }

  override async run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options?: CallOptions,
  ): Promise<Result> {
    await this.#passing(script.name);
    return super.run(script, keys, args, options);
  }

  override async *scan(options?: ScanOptions): AsyncIterable<readonly string[]> {
    this.walks += 1;
    await this.#passing('SCAN');
    yield* super.scan(options);
  }

  override subscribe(options: SubscribeOptions): Subscription {
    const onMessage: SubscribeOptions['onMessage'] = (message) => {
      if (!this.isDeaf) options.onMessage(message);
    };
    return super.subscribe({ ...options, onMessage });
  }

  override on<E extends keyof ClientEvents>(
    event: E,
    listener: (detail: ClientEvents[E]) => void,
  ): () => void {
    if (event === 'lost') this.#onLost.add(listener as (detail: ClientEvents['lost']) => void);
    return super.on(event, listener);
  }

  async #passing(name: string): Promise<void> {
    await this.#held.get(name);
    const isRefused = this.#refused.has(name) || this.#server.refused.has(name);
    if (this.isClosed || this.#server.isAway || this.#isCut() || isRefused)
      throw new NotConnectedError('it is away');
  }
}

/** One process, and its lines by the ids of their shards. */
export interface Participant {
  readonly cache: ShardedCache<unknown, Server>;
  line(id: string): Line;
  /** The shards it has a connection to. */
  open(): readonly string[];
  /** It reaches that shard from the first on only when what this gives has been called. */
  cutOff(id: string): () => void;
  /** Follows no change from here on, for as long as its lease lasts; what it gives ends that. */
  stall(): () => void;
}

export class ServerRoom {
  readonly leaseMs: number;
  readonly #servers = new Map<string, Server>();

  constructor(leaseMs: number) {
    this.leaseMs = leaseMs;
  }

  /** By its address, which is its id unless it says otherwise. */
  server(address: string): Server {
    let server = this.#servers.get(address);
    if (server === undefined) {
      const client = createClient(resolveConnection(address, { topology: 'embedded' }, []));
      server = { client, runId: `run_of_${address}`, isAway: false, refused: new Set() };
      this.#servers.set(address, server);
    }
    return server;
  }

  /** A process that was given these shards, by their addresses if those are not their ids; of others it hears. */
  process(ids: readonly string[], addresses: Readonly<Record<string, string>> = {}): Participant {
    const lines = new Map<string, Line>();
    const blind = new Set<string>();
    const addressOf = (server: Server): string =>
      [...this.#servers].find(([, each]) => each === server)?.[0] ?? '';
    const cache = new ShardedCache<unknown, Server>(
      {
        shards: Object.fromEntries(ids.map((id) => [id, { options: this.server(addresses[id] ?? id) }])),
        open: (id, from) => {
          const server = 'options' in from ? from.options : this.server(from.address);
          const line = new Line(server, () => blind.has(id));
          lines.set(id, line);
          return { client: line, address: addressOf(server) };
        },
        namespace: 'app',
        lease: `${this.leaseMs}ms`,
      },
      { jitter: 0, earlyRefresh: false },
    );
    onTestFinished(() => cache.disconnect());
    const line = (id: string): Line => {
      const known = lines.get(id);
      if (known === undefined) throw new Error(`there is no line to ${id}`);
      return known;
    };
    const stall = (): (() => void) => {
      const ends = [...lines.values()].map((each) => {
        each.isDeaf = true;
        return each.hold('shards.renew');
      });
      return () => {
        for (const each of lines.values()) each.isDeaf = false;
        for (const end of ends) end();
      };
    };
    const open = (): readonly string[] => [...lines].flatMap(([id, each]) => (each.isClosed ? [] : [id]));
    const cutOff = (id: string): (() => void) => {
      blind.add(id);
      return () => void blind.delete(id);
    };
    return { cache, line, open, cutOff, stall };
  }
}

/** So many processes that were given the same shards, and are connected. */
export async function openRoom(
  ids: readonly string[],
  { leaseMs, count }: { leaseMs: number; count: number },
): Promise<{ room: ServerRoom; processes: Participant[] }> {
  const room = new ServerRoom(leaseMs);
  const processes = Array.from({ length: count }, () => room.process(ids));
  for (const { cache } of processes) await cache.connect({ timeout: '20s' });
  return { room, processes };
}

/** What a process takes that shard for. */
export function stateOf({ cache }: Participant, id: string): string | undefined {
  return cache.status().shards[id]?.state;
}

/** How far the move under way has come, as a process knows it. */
export function stageOf({ cache }: Participant): string | undefined {
  return cache.status().move?.stage;
}

/** Settles when the move has come so far; `undefined` is the end of it. */
export function reaching(participant: Participant, stage: string | undefined): Promise<unknown> {
  return vi.waitFor(() => expect(stageOf(participant)).toBe(stage), { timeout: 8_000, interval: 2 });
}

/** A key that lies on that shard. */
export function keyOn(cache: ShardedCache<unknown, Server>, id: string, nth = 0): string {
  for (let i = 0, found = 0; ; i += 1) {
    if (cache.shardFor(`key:${i}`) !== id) continue;
    if (found === nth) return `key:${i}`;
    found += 1;
  }
}
