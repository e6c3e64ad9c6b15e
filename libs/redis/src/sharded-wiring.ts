/** The sharded cache over the configured servers, or over the default connection as its only shard. */
import { ShardedCache, type OpenShard, type ShardOptions } from './cache/index.js';
import { RedisConfig } from './config/index.js';
import {
  createClient,
  type RedisAdapter,
  type RedisClient,
  type ResolvedConnection,
} from './connection/index.js';
import type { Surroundings } from './surroundings.js';

const ONLY = 'default';

type Given = ShardOptions | ResolvedConnection | 'default';

export interface WiredSharded {
  readonly sharded: ShardedCache;
  /** By the ids of the shards, as each was opened last. */
  readonly clients: ReadonlyMap<string, RedisClient>;
}

export function wireSharded(
  config: RedisConfig,
  adapter: RedisAdapter,
  surroundings: Surroundings = {},
): WiredSharded {
  const configured = [...config.shards].map(
    ([id, { connection, weight }]) => [id, connection, weight] as const,
  );
  const shards =
    configured.length === 0
      ? { [ONLY]: { options: 'default' as const } }
      : Object.fromEntries(configured.map(([id, options, weight]) => [id, { options, weight }]));
  const clients = new Map<string, RedisClient>();
  const open = (id: string, from: { options: Given } | { address: string }): OpenShard => {
    if (!('options' in from)) return openKnown(id, elsewhere(config, from.address), surroundings);
    const { options } = from;
    if (options === 'default') return { client: adapter.port, address: '', shared: true };
    return openKnown(
      id,
      'addresses' in options ? options : connectionOf(options, surroundings),
      surroundings,
    );
  };
  const sharded = new ShardedCache<unknown, Given>(
    {
      shards,
      open: (id, from) => {
        const opened = open(id, from);
        clients.set(id, opened.client);
        return opened;
      },
      namespace: config.namespace,
      codec: config.codec,
      l1: config.l1,
      lease: `${config.shardLeaseMs}ms`,
      clock: surroundings.clock,
      random: surroundings.random,
    },
    config.cache,
  );
  return { sharded, clients };
}

/** What `addShard` is given is judged as what the module is given. */
function connectionOf(
  { weight: _weight, ...options }: ShardOptions,
  { replaceOptions }: Surroundings,
): ResolvedConnection {
  return new RedisConfig(replaceOptions?.(options) ?? options, {}).defaultConnection;
}

/** A shard that another process has added: at its address, with the login of those this process was given. */
function elsewhere(config: RedisConfig, address: string): ResolvedConnection {
  const [known] = [...config.shards.values()];
  const { hostname, port, pathname } = new URL(address);
  const base = known?.connection ?? config.defaultConnection;
  const addresses = [{ host: hostname.replace(/^\[|\]$/gu, ''), port: Number(port) }];
  return { ...base, topology: 'standalone', sentinel: undefined, addresses, db: Number(pathname.slice(1)) };
}

function openKnown(id: string, connection: ResolvedConnection, surroundings: Surroundings): OpenShard {
  // A replica answers with a past that no agreement of the shards knows of.
  const client = createClient({ ...connection, name: id, readFrom: 'primary' }, surroundings);
  return { client, address: addressOf(connection) };
}

/** Without login, as it is written where every process can read it. */
function addressOf({ topology, addresses, tls, db }: ResolvedConnection): string {
  const [first] = addresses;
  if (topology !== 'standalone' || first === undefined) return '';
  const host = first.host.includes(':') ? `[${first.host}]` : first.host;
  return `${tls === undefined ? 'redis' : 'rediss'}://${host}:${first.port}/${db}`;
}
