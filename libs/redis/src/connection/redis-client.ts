/**
 * The one port to Redis. Every capability speaks to this and to nothing below it: ioredis on a standalone
 * server, behind Sentinel or on a Cluster, and the embedded keyspace all stand behind the same few methods.
 *
 * Every promise a client returns settles within its deadline, whatever the network does.
 */
import type { Duration } from '../core/index.js';
import type { Arg, Reply } from './reply.js';
import type { Script } from './script.js';

export type { Arg, Reply } from './reply.js';

export interface CallOptions {
  /** Total time for the call, retries included. @default the client's `timeout`, `'250ms'` */
  timeout?: Duration | undefined;
  /** Ends the wait early; a write that was already sent may still be executed. */
  signal?: AbortSignal | undefined;
  /** Bulk strings as `string` (UTF-8) or as `Buffer`. @default 'text' */
  reply?: 'text' | 'bytes' | undefined;
  /**
   * Whether running it twice is the same as once, which decides about a retry after an unknown outcome.
   * @default known per command; scripts say it themselves
   */
  idempotent?: boolean | undefined;
  /**
   * For `GET`: a key that holds another type counts as absent instead of failing with WRONGTYPE, so a read
   * that was merged with others needs no second look. Caches set it. @default false
   */
  anyType?: boolean | undefined;
}

export interface PipelineCommand {
  readonly name: string;
  readonly args: readonly Arg[];
}

export type PipelineResult =
  { readonly ok: true; readonly value: Reply } | { readonly ok: false; readonly error: Error };

export interface ScanOptions {
  /** Glob in Redis' own syntax; use `escapeGlob` for everything that is data. @default '*' */
  match?: string;
  /** Hint per round trip. @default 500 */
  count?: number;
  /** Only keys of this type: `'string' | 'hash' | 'list' | 'set' | 'zset' | 'stream'`. */
  type?: string;
  /** Time for one round trip. @default the client's `timeout` */
  timeout?: Duration | undefined;
  /** Told of each round trip, and waited for, before its names are handed out: for those who keep to a pace. */
  onPage?: ((page: ScanPage) => void | Promise<void>) | undefined;
  signal?: AbortSignal | undefined;
}

/** One round trip of a scan; most bring no names when the server is full of other keys. */
export interface ScanPage {
  /** `host:port`, or `'embedded'`. */
  readonly node: string;
  readonly durationMs: number;
  readonly names: number;
}

export interface Message {
  readonly channel: string;
  /** The pattern that matched, for pattern subscriptions. */
  readonly pattern?: string;
  readonly payload: Buffer;
}

export interface SubscribeOptions {
  channels?: readonly string[];
  patterns?: readonly string[];
  /** For messages sent by `SPUBLISH`; in a cluster they go through the one shard that owns the channel. */
  shardChannels?: readonly string[];
  onMessage(message: Message): void;
  /** The connection is away: messages may be missed from now on. */
  onLost?(): void;
  /** The connection was away: messages may have been missed between `lostAt` and now. */
  onGap?(): void;
}

export interface Subscription {
  /** Settles when the server has confirmed every channel; rejects when the first try fails in time. */
  readonly ready: Promise<void>;
  close(): Promise<void>;
}

/**
 * - `tracking`: every change below the prefixes is announced.
 * - `lost`: changes may go unnoticed, whatever was learnt before may be out of date.
 * - `refused`: as `lost`, and the server said that it will not do it.
 */
export type TrackingState = 'tracking' | 'lost' | 'refused';

export interface TrackOptions {
  /** Beginnings of the keys to be told of; every change below them is sent, so keep them narrow. */
  readonly prefixes: readonly string[];
  /** These keys were changed, expired, evicted or deleted, by whomever; `'all'` when the server was flushed. */
  onInvalidate(keys: readonly string[] | 'all'): void;
  /** Called on every change of the state, never from within `track()` itself. `reason` has no secrets. */
  onState(state: TrackingState, reason: string): void;
}

/** See docs/near-cache.md. */
export interface Tracking {
  readonly state: TrackingState;
  /** Why it is in this state, as one line without secrets. */
  readonly reason: string;
  close(): Promise<void>;
}

export type Topology = 'standalone' | 'cluster' | 'sentinel' | 'embedded';

export type NodeState = 'idle' | 'connecting' | 'loading' | 'ready' | 'reconnecting' | 'closed';

export interface NodeStatus {
  /** `host:port`, or `'embedded'`. */
  readonly node: string;
  readonly state: NodeState;
  readonly role: 'primary' | 'replica' | 'unknown';
  /** Round trip of the last heartbeat in milliseconds, if there was one. */
  readonly latencyMs: number | null;
  readonly breaker: { readonly reads: BreakerView; readonly writes: BreakerView };
  readonly inFlight: number;
  /** Why it is not ready, as one line without secrets. */
  readonly reason: string | null;
  /** Wall clock milliseconds of the last change of `state`. */
  readonly since: number;
}

export type BreakerView = 'closed' | 'open' | 'half-open' | 'isolated' | 'off';

export interface ClientStatus {
  readonly name: string;
  readonly topology: Topology;
  /** `up` when every part answers, `degraded` when some do, `down` when none does. */
  readonly health: 'up' | 'degraded' | 'down';
  readonly nodes: readonly NodeStatus[];
  readonly since: number;
}

export interface ClientEvents {
  /** Some node became usable. */
  ready: { node: string };
  /** A node was lost; `reason` has no secrets. */
  lost: { node: string; reason: string };
  /** Who owns what has changed: after a failover, a resharding, or a change of nodes. */
  topology: { reason: string };
  /** A breaker changed its state. */
  breaker: { node: string; kind: 'reads' | 'writes'; from: BreakerView; to: BreakerView };
}

export interface RedisClient {
  readonly name: string;
  readonly topology: Topology;

  /** Opens the connections; settles when the client can serve, rejects when it can not in time. */
  connect(options?: { timeout?: Duration }): Promise<void>;
  /** Lets calls in flight finish for at most `drain`, then settles every one of them and closes. */
  disconnect(options?: { drain?: Duration }): Promise<void>;

  command<R extends Reply = Reply>(name: string, args: readonly Arg[], options?: CallOptions): Promise<R>;
  /** Sends many commands at once; each has its own outcome. Not a transaction: for that, use a script. */
  pipeline(commands: readonly PipelineCommand[], options?: CallOptions): Promise<readonly PipelineResult[]>;
  run<Keys extends readonly string[], Args, Result>(
    script: Script<Keys, Args, Result>,
    keys: Keys,
    args: Args,
    options?: CallOptions,
  ): Promise<Result>;
  /** Batches of key names, from every primary. Keys that exist throughout are seen at least once. */
  scan(options?: ScanOptions): AsyncIterable<readonly string[]>;
  subscribe(options: SubscribeOptions): Subscription;
  /** Announces changes of keys while `state` is `'tracking'`, and says at once when it no longer can. */
  track(options: TrackOptions): Tracking;

  status(): ClientStatus;
  /** Takes a node out by hand, or all of them: calls to it fail at once until `restore`. */
  isolate(node?: string): void;
  restore(node?: string): void;
  on<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): () => void;
}
