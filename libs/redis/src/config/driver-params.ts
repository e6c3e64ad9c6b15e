/**
 * What a raw ioredis client of our own kind is built with. The driver's options come from the room that knows
 * the driver; here they are made to fail fast: nothing waits in a queue, nothing is sent twice, and neither a
 * silent server nor a half-open link can hold a call for longer than a bound.
 */
import {
  clusterParams,
  connectionParams,
  sentinelParams,
  type ClusterParams,
  type ResolvedConnection,
  type Topology,
} from '../connection/index.js';
import { RedisModuleError } from '../core/index.js';

/** What `new Redis(params)` of ioredis 6 takes. */
export type ConnectionParams = Awaited<ReturnType<typeof connectionParams>>;

export class TopologyMismatchError extends RedisModuleError {
  readonly code = 'TOPOLOGY_MISMATCH';
}

/** A socket that stays silent for this long with commands under way is taken for dead. */
const SOCKET_TIMEOUT_MS = 2_000;

const METHODS: Readonly<Record<Exclude<Topology, 'embedded'>, string>> = {
  standalone: 'getConnectionParams',
  cluster: 'getClusterParams',
  sentinel: 'getSentinelParams',
};

export async function paramsOfServer(connection: ResolvedConnection): Promise<ConnectionParams> {
  expectTopology(connection, 'standalone');
  return { ...(await connectionParams(connection)), ...failFast(connection), ...READY_WHEN_ASKED };
}

export async function paramsOfSentinels(connection: ResolvedConnection): Promise<ConnectionParams> {
  expectTopology(connection, 'sentinel');
  return { ...(await sentinelParams(connection)), ...failFast(connection), ...READY_WHEN_ASKED };
}

export async function paramsOfCluster(connection: ResolvedConnection): Promise<ClusterParams> {
  expectTopology(connection, 'cluster');
  const { nodes, options } = await clusterParams(connection);
  return {
    nodes,
    options: {
      ...options,
      ...READY_WHEN_ASKED,
      redisOptions: { ...options.redisOptions, ...failFast(connection) },
      // A certificate names hosts: resolved to addresses beforehand, none of them would be found in it.
      ...(connection.tls === undefined ? {} : { dnsLookup: (host, done) => done(null, host) }),
    },
  };
}

/** With `lazyConnect`, `await client.connect()` comes first: there is no queue for what comes before. */
const READY_WHEN_ASKED = { lazyConnect: true, enableOfflineQueue: false } as const;

function failFast(connection: ResolvedConnection) {
  return {
    commandTimeout: connection.timeoutMs,
    socketTimeout: Math.max(SOCKET_TIMEOUT_MS, connection.timeoutMs),
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // `true` reconnects and fails the command; 2 would send it again.
    reconnectOnError: (error: Error): boolean => error.message.startsWith('READONLY'),
  };
}

function expectTopology({ name, topology }: ResolvedConnection, wanted: keyof typeof METHODS): void {
  if (topology === wanted) return;
  const hint =
    topology === 'embedded'
      ? 'there is no server to connect to: set REDIS_URL, or give `url`, to get one'
      : `call ${METHODS[topology]}()`;
  throw new TopologyMismatchError(
    `${METHODS[wanted]}: the connection '${name}' is of topology '${topology}'`,
    {
      hint,
      details: { connection: name, topology },
    },
  );
}
