/** What the stats tell: everything a page or a person wants to see of one process, as plain JSON. */
import type { BreakerView, NodeState, NodeStatus, Topology } from '../../connection/index.js';

/** Why a figure is not there: never a guess, never an old figure in its place. */
export interface Unknown {
  readonly unknown: string;
}

/** A figure that has to be asked for, and may not be answered in time. */
export type Asked<T> = T | Unknown;

export function isUnknown(figure: unknown): figure is Unknown {
  return typeof figure === 'object' && figure !== null && 'unknown' in figure;
}

/** What was counted since this process began. */
export interface CacheFigures {
  /** Hits, stale ones included, by all reads; 0 before the first. */
  readonly hitRate: number;
  readonly reads: number;
  /** Hits by the tier they came from: this process, Redis, or what stands in for Redis. */
  readonly tiers: { readonly l1: number; readonly l2: number; readonly fallback: number };
  readonly stale: number;
  readonly negative: number;
  readonly misses: number;
  readonly loads: number;
  readonly loadFailures: number;
  /** Calls answered by a load that was under way already. */
  readonly coalesced: number;
  /** Loaded values that were invalidated while they were loaded, and not stored. */
  readonly refusedFills: number;
  readonly unstorable: number;
  /** Loads that Redis never saw, because it failed. */
  readonly bypassed: number;
  /** Values stored, by `set` or after a load. */
  readonly writes: number;
  /** Values that were not stored because of an error, ignored or not. */
  readonly failedWrites: number;
  /** Calls to Redis that failed and were done without. */
  readonly failures: number;
}

/** By sampling; see `NamespaceMemory` for how. */
export interface MemoryShare {
  readonly keys: number;
  readonly bytes: number;
}

export interface CacheReport extends CacheFigures {
  /** Copies in this process. */
  readonly l1: { readonly entries: number; readonly bytes: number } | null;
  /** Values in Redis. */
  readonly memory: Asked<MemoryShare>;
}

/** The near cache, which all caches of the namespace share. */
export interface L1Report {
  /** What it hears changes by; null while it does not, and nothing is served. */
  readonly by: 'tracking' | 'bus' | null;
  readonly entries: number;
  /** Kept for when Redis does not answer. */
  readonly doubtful: number;
  readonly bytes: number;
  readonly evictions: number;
}

/** Memory in Redis, of all keys below the namespace. */
export interface NamespaceMemory {
  readonly keys: number;
  readonly bytes: number;
  /** By capability: `cache`, `session`, `limit`, `lock`, `tasks` … */
  readonly capabilities: Readonly<Record<string, MemoryShare>>;
  /** Every name was looked at, so `keys` is no estimate. */
  readonly counted: boolean;
  /** How many keys were weighed; the rest is reckoned from them. */
  readonly weighed: number;
  /** `length` where the server does not tell: what was stored, plus the name and what an entry costs. */
  readonly by: 'server' | 'length';
  /** Wall clock milliseconds; a sample is kept for some seconds. */
  readonly at: number;
}

/** What the server of the default connection says of itself; in a cluster one of its nodes. */
export interface ServerMemory {
  readonly usedBytes: number;
  /** 0 without a limit. */
  readonly maxBytes: number;
  readonly policy: string;
  readonly evictedKeys: number;
  readonly expiredKeys: number;
}

export interface FallbackReport {
  readonly mode: 'redis' | 'fallback' | 'recovering';
  /** Wall clock milliseconds. */
  readonly since: number;
  readonly reason: string;
  /** Changes that Redis has to be told of. */
  readonly journal: number;
  readonly overflowed: boolean;
  readonly uncertainIncrements: number;
  readonly caches: Readonly<Record<string, CacheFigures>>;
}

export interface NodeReport {
  /** `host:port`, or `'embedded'`. */
  readonly node: string;
  readonly role: NodeStatus['role'];
  readonly state: NodeState;
  /** Round trip of the last heartbeat. */
  readonly latencyMs: number | null;
  readonly breaker: { readonly reads: BreakerView; readonly writes: BreakerView };
  readonly inFlight: number;
  readonly reason: string | null;
  readonly since: number;
}

export interface ConnectionReport {
  readonly topology: Topology;
  readonly health: 'up' | 'degraded' | 'down';
  readonly since: number;
  readonly nodes: readonly NodeReport[];
}

export interface ShardReport {
  /** What the fleet has agreed on. */
  readonly state: string;
  readonly weight: number;
  /** Without login. */
  readonly address: string;
  /** Of 16,384. */
  readonly slots: number;
  /** Whether this process reaches it. */
  readonly health: 'up' | 'degraded' | 'down';
  readonly figures: CacheFigures | null;
}

export interface ShardsReport {
  /** Whether this process may act by the topology it knows. */
  readonly current: boolean;
  readonly epoch: number | null;
  /** A change of shards under way. */
  readonly move: Readonly<Record<string, string | number | boolean>> | null;
  readonly shards: Readonly<Record<string, ShardReport>>;
  readonly caches: Readonly<Record<string, CacheFigures>>;
}

export interface LimiterReport {
  readonly allowed: number;
  readonly denied: number;
  readonly shadowDenied: number;
  /** Decisions by who made them; `local`, `open` and `closed` are those made without Redis. */
  readonly bySource: Readonly<Record<string, number>>;
  readonly allowedWithoutStore: number;
  readonly placesLost: number;
}

export interface LocksReport {
  readonly held: number;
  readonly waiting: number;
}

export interface PubSubReport {
  readonly listeners: number;
  readonly published: number;
  readonly dropped: number;
  readonly unreadable: number;
  readonly gaps: number;
}

/** What became of the operations on sessions, by name: `load`, `save`, `rotate` … */
export type SessionsReport = Readonly<
  Record<string, { readonly ok: number; readonly refused: number; readonly unavailable: number }>
>;

/** `idle` while nobody in this process adds or does tasks: then nobody is asked, and no connection is made. */
export type TasksReport =
  | { readonly state: 'idle' }
  | {
      readonly state: 'in use';
      readonly waiting: number;
      readonly delayed: number;
      readonly active: number;
      readonly completed: number;
      readonly failed: number;
    };

/** At hand in this process: nobody is asked. */
export interface OwnFigures {
  readonly namespace: string;
  readonly caches: Readonly<Record<string, Omit<CacheReport, 'memory'>>>;
  /** Null without a near cache. */
  readonly l1: L1Report | null;
  readonly fallback: FallbackReport;
  readonly connections: Readonly<Record<string, ConnectionReport>>;
  readonly shards: ShardsReport;
  readonly limiter: LimiterReport;
  readonly locks: LocksReport;
  readonly pubsub: PubSubReport;
  readonly sessions: SessionsReport;
}

/** A sample of the namespace, and how it falls to the caches. */
export interface SampledMemory {
  readonly namespace: NamespaceMemory;
  readonly caches: Readonly<Record<string, MemoryShare>>;
}

/** Where the figures come from; the module fills it, so that nothing here knows a capability. */
export interface StatsSource {
  own(): OwnFigures;
  memory(): Promise<SampledMemory>;
  server(): Promise<ServerMemory>;
  tasks(): Promise<TasksReport>;
}

export interface StatsReport extends Omit<OwnFigures, 'caches'> {
  /** Wall clock milliseconds. */
  readonly at: number;
  readonly process: { readonly pid: number; readonly uptimeMs: number; readonly heapBytes: number };
  /** All caches together. */
  readonly total: CacheFigures;
  readonly caches: Readonly<Record<string, CacheReport>>;
  readonly memory: Asked<NamespaceMemory>;
  readonly server: Asked<ServerMemory>;
  readonly tasks: Asked<TasksReport>;
}
