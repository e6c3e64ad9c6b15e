/** Options of one connection, as users write them and as the room uses them. */
import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls';
import { parsePositiveDuration, type Duration } from '../core/index.js';
import {
  resolveBreaker,
  resolveRetry,
  type BreakerOptions,
  type ResolvedBreaker,
  type ResolvedRetry,
  type RetryOptions,
} from '../resilience/index.js';
import type { Topology } from './redis-client.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A password, or where to get the present one: asked anew for every connection, so it may rotate. */
export type PasswordSource = string | (() => string | Promise<string>);

/** What Node's TLS takes: `ca`, `cert`, `key`, `servername`, `rejectUnauthorized`, `minVersion` … */
export type TlsOptions = Pick<
  TlsConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'rejectUnauthorized' | 'minVersion' | 'ciphers'
>;

export type ReadFrom = 'primary' | 'replica' | 'preferReplica';

export interface PoolOptions {
  /** Connections per node. One is right for nearly everybody. @default 1 */
  size?: number;
  /** Calls in flight per connection before `BackpressureError`. @default 1000 */
  maxInFlight?: number;
  /** Calls that may wait for a connection that is being made, each within its deadline. @default 256 */
  maxWaiting?: number;
}

export interface EmbeddedOptions {
  /** Entries kept; beyond it those used least recently and carrying an expiry go first. @default 100_000 */
  maxEntries?: number;
  /** Bytes kept, keys and values, by estimate. @default 134_217_728 (128 MiB) */
  maxBytes?: number;
}

export interface ConnectionOptions {
  /** `redis://user:password@host:6379/0`, or `rediss://` for TLS. */
  url?: string;
  /** @default 'localhost' */
  host?: string;
  /** @default 6379 */
  port?: number;
  /** ACL user. */
  username?: string;
  password?: PasswordSource;
  /** @default 0 */
  db?: number;
  /** `true` for TLS with the system's authorities. @default false */
  tls?: boolean | TlsOptions;
  /** @default 'cluster' or 'sentinel' when those are given, 'standalone' with an address, else 'embedded' */
  topology?: Topology;
  /** Where to learn the cluster from; any few of its nodes. */
  cluster?: { nodes: readonly (string | Address)[] };
  sentinel?: {
    /** The name the sentinels know the primary by. */
    name: string;
    nodes: readonly (string | Address)[];
    username?: string;
    password?: PasswordSource;
    tls?: boolean | TlsOptions;
  };
  /** Which nodes answer reads. Replicas answer with a past: see docs/connection.md. @default 'primary' */
  readFrom?: ReadFrom;
  /** `'lazy'`: boot without Redis and say so once. `'required'`: refuse to boot. @default 'lazy' */
  connect?: 'lazy' | 'required';
  /** Total time for a call, retries included. @default '250ms' */
  timeout?: Duration;
  /** Time for a socket to be opened, secured, authenticated and checked. @default '2s' */
  connectTimeout?: Duration;
  pool?: PoolOptions;
  retry?: RetryOptions | false;
  breaker?: BreakerOptions | false;
  /** Every this long an idle connection is asked whether it is there; two misses drop it. @default '500ms' */
  heartbeat?: Duration;
  /**
   * Ends every batch with a numbered echo and hands out replies only once it has come back in order, so a
   * reply that was lost or doubled on the way can never be taken for another one's. @default true
   */
  integrity?: boolean;
  /** `GET`s of one turn of the event loop leave as one `MGET`. `false` sends each on its own. @default true */
  coalesce?: boolean;
  /**
   * Expiry of what the adapter writes without saying one, so that nothing is left behind by accident.
   * `'never'` turns the rule off; per call, `'never'` has to be written out too. @default '1h'
   */
  defaultTtl?: Duration | 'never';
  embedded?: EmbeddedOptions;
}

export interface ResolvedConnection {
  readonly name: string;
  readonly topology: Topology;
  /** Standalone: one. Cluster and Sentinel: where to ask. Embedded: none. */
  readonly addresses: readonly Address[];
  readonly sentinel: ResolvedSentinel | undefined;
  readonly username: string | undefined;
  readonly password: PasswordSource | undefined;
  readonly db: number;
  readonly tls: TlsOptions | undefined;
  readonly readFrom: ReadFrom;
  readonly connect: 'lazy' | 'required';
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly integrity: boolean;
  readonly coalesce: boolean;
  readonly pool: Required<PoolOptions>;
  readonly retry: ResolvedRetry | false;
  readonly breaker: ResolvedBreaker | false;
  /** `undefined` for none. */
  readonly defaultTtlMs: number | undefined;
  readonly embedded: Required<EmbeddedOptions>;
}

export interface ResolvedSentinel {
  readonly name: string;
  readonly username: string | undefined;
  readonly password: PasswordSource | undefined;
  readonly tls: TlsOptions | undefined;
}

export const CONNECTION_DEFAULTS = {
  host: 'localhost',
  port: 6379,
  db: 0,
  readFrom: 'primary',
  connect: 'lazy',
  timeout: '250ms',
  connectTimeout: '2s',
  heartbeat: '500ms',
  integrity: true,
  coalesce: true,
  defaultTtl: '1h',
  pool: { size: 1, maxInFlight: 1_000, maxWaiting: 256 },
  embedded: { maxEntries: 100_000, maxBytes: 128 * 1024 * 1024 },
} as const;

/** Fills in the defaults. `options` has been validated: addresses are parsed and the URL is taken apart. */
export function resolveConnection(
  name: string,
  options: ConnectionOptions,
  addresses: readonly Address[],
): ResolvedConnection {
  const given = { ...CONNECTION_DEFAULTS, ...options };
  const { sentinel } = options;
  return {
    name,
    topology: topologyOf(options),
    addresses,
    sentinel:
      sentinel === undefined
        ? undefined
        : {
            name: sentinel.name,
            username: sentinel.username,
            password: sentinel.password,
            tls: resolveTls(sentinel.tls),
          },
    username: options.username,
    password: options.password,
    db: given.db,
    tls: resolveTls(options.tls),
    readFrom: given.readFrom,
    connect: given.connect,
    timeoutMs: parsePositiveDuration(given.timeout, 'timeout'),
    connectTimeoutMs: parsePositiveDuration(given.connectTimeout, 'connectTimeout'),
    heartbeatMs: parsePositiveDuration(given.heartbeat, 'heartbeat'),
    integrity: given.integrity,
    coalesce: given.coalesce,
    pool: { ...CONNECTION_DEFAULTS.pool, ...options.pool },
    retry: options.retry === false ? false : resolveRetry(options.retry),
    breaker: options.breaker === false ? false : resolveBreaker(options.breaker),
    defaultTtlMs:
      given.defaultTtl === 'never' ? undefined : parsePositiveDuration(given.defaultTtl, 'defaultTtl'),
    embedded: { ...CONNECTION_DEFAULTS.embedded, ...options.embedded },
  };
}

export function topologyOf(options: ConnectionOptions): Topology {
  if (options.topology !== undefined) return options.topology;
  if (options.cluster !== undefined) return 'cluster';
  return options.sentinel === undefined ? 'standalone' : 'sentinel';
}

function resolveTls(tls: boolean | TlsOptions | undefined): TlsOptions | undefined {
  if (tls === undefined || tls === false) return undefined;
  return tls === true ? {} : tls;
}
