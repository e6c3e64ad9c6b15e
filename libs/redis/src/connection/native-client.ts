/** The raw ioredis client of the same address and login, for users who need the driver itself. */
import type { ClusterOptions } from 'ioredis';
import { Cluster, Redis } from './driver.js';
import { CommandRefusedError } from './connection.errors.js';
import type { Address, ResolvedConnection } from './connection.options.js';
import { readPassword, type DriverOptions } from './driver-options.js';
import type { NativeClient } from './redis-adapter.js';

export type NativeRedis = Redis | Cluster;

/** What `new Cluster(nodes, options)` takes. */
export interface ClusterParams {
  readonly nodes: readonly Address[];
  readonly options: Omit<ClusterOptions, 'redisOptions'> & { readonly redisOptions: DriverOptions };
}

export function createNativeClient(connection: ResolvedConnection): NativeClient<NativeRedis> {
  let opened: Promise<NativeRedis> | undefined;
  return {
    open() {
      opened ??= openNative(connection);
      return opened;
    },
    close() {
      opened?.then(
        (client) => client.disconnect(),
        () => undefined,
      );
      opened = undefined;
    },
  };
}

/** Connections for a queue of tasks: workers block, and producers are told at once. */
export interface TaskConnections {
  worker(): Promise<NativeRedis>;
  /** Each of its commands settles within that time. */
  producer(timeoutMs: number): Promise<NativeRedis>;
}

export function taskConnections(connection: ResolvedConnection): TaskConnections {
  return {
    worker: () => openNative(connection, WORKER),
    producer: (timeoutMs) => openNative(connection, { ...PRODUCER, commandTimeout: timeoutMs }),
  };
}

async function openNative(connection: ResolvedConnection, profile: DriverOptions = {}): Promise<NativeRedis> {
  if (connection.topology === 'embedded') {
    throw new CommandRefusedError('the embedded default has no driver below it', {
      hint: 'use the methods of the adapter, or configure a server',
    });
  }
  if (connection.topology === 'cluster') {
    const { nodes, options } = await clusterParams(connection);
    const { enableOfflineQueue = true } = profile;
    const redisOptions = { ...options.redisOptions, ...profile };
    return quiet(new Cluster([...nodes], { ...options, enableOfflineQueue, redisOptions }));
  }
  const params =
    connection.topology === 'sentinel' ? sentinelParams(connection) : connectionParams(connection);
  return quiet(new Redis({ ...(await params), ...profile }));
}

/** What `new Redis(params)` takes for one server. Unlike the shared connections it reconnects by itself. */
export async function connectionParams(connection: ResolvedConnection): Promise<DriverOptions> {
  const [address = { host: 'localhost', port: 6379 }] = connection.addresses;
  const { host, port } = address;
  return { ...(await loginParams(connection)), ...STANDING_ALONE, host, port, db: connection.db };
}

/** What `new Redis(params)` takes behind sentinels. */
export async function sentinelParams(connection: ResolvedConnection): Promise<DriverOptions> {
  const { sentinel } = connection;
  const password = await readPassword(sentinel?.password);
  return {
    ...(await loginParams(connection)),
    ...STANDING_ALONE,
    db: connection.db,
    name: sentinel?.name ?? '',
    sentinels: connection.addresses.map((address) => ({ ...address })),
    failoverDetector: true,
    updateSentinels: true,
    sentinelCommandTimeout: 1_000,
    sentinelRetryStrategy: reconnectDelay,
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...(sentinel?.username === undefined ? {} : { sentinelUsername: sentinel.username }),
    ...(password === undefined ? {} : { sentinelPassword: password }),
    ...(sentinel?.tls === undefined ? {} : { sentinelTLS: sentinel.tls }),
    ...(connection.tls === undefined ? {} : { enableTLSForSentinelMode: true }),
  };
}

export async function clusterParams(connection: ResolvedConnection): Promise<ClusterParams> {
  return {
    nodes: connection.addresses,
    options: {
      redisOptions: { ...(await loginParams(connection)), ...SHARED },
      // As for one server: who is handed the driver may use it at once.
      enableOfflineQueue: true,
      clusterRetryStrategy: reconnectDelay,
      clusterNodeRetryStrategy: reconnectDelay,
      slotsRefreshInterval: 10_000,
      slotsRefreshTimeout: 2_000,
      retryDelayOnMoved: 50,
      maxRedirections: 6,
      scaleReads: connection.readFrom === 'primary' ? 'master' : 'slave',
    },
  };
}

/** Who we are and how the wire is secured; where to connect is added by the caller. */
async function loginParams(connection: ResolvedConnection): Promise<DriverOptions> {
  const { username, tls } = connection;
  const password = await readPassword(connection.password);
  return {
    connectionName: `anbar:${connection.name}:native`,
    connectTimeout: connection.connectTimeoutMs,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
  };
}

const SHARED = { keepAlive: 5_000, noDelay: true, maxRetriesPerRequest: 1 } satisfies DriverOptions;

/** A blocking read lasts as long as there is nothing to do, and outlives any reconnection. */
const WORKER = {
  protocol: 2,
  maxRetriesPerRequest: null,
  enableOfflineQueue: true,
} satisfies DriverOptions;

/** What can not be sent now is not sent later, when whoever asked has gone. */
const PRODUCER = {
  protocol: 2,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
} satisfies DriverOptions;

/** It queues and reconnects by itself: a connection of the user's own has nobody else to do that. */
const STANDING_ALONE = { ...SHARED, retryStrategy: reconnectDelay } satisfies DriverOptions;

/** Full jitter, 50 ms to 2 s, without end. */
function reconnectDelay(times: number): number {
  return Math.random() * Math.min(2_000, 50 * 2 ** Math.min(times, 10));
}

/** Without a listener ioredis prints every error, and the text may hold what was sent. */
function quiet<T extends NativeRedis>(client: T): T {
  client.on('error', () => undefined);
  return client;
}
