/** The sharded cache over the configured servers, or over the default connection as its only shard. */
import { ShardedCache, ShardUnavailableError, type OpenShard, type ShardOptions } from './cache/index.js';
import { RedisConfig } from './config/index.js';
import {
  createClient,
  type RedisAdapter,
  type RedisClient,
  type ResolvedConnection,
} from './connection/index.js';
import type { Surroundings } from './surroundings.js';

const ONLY = 'default';
const PLAIN = 'redis:';
const SECURED = 'rediss:';

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
    if ('addresses' in options) return openKnown(id, options, surroundings);
    const { defaultConnection, warnings } = configOf(options, surroundings);
    return { ...openKnown(id, defaultConnection, surroundings), warnings };
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
function configOf(
  { weight: _weight, ...options }: ShardOptions,
  { replaceOptions }: Surroundings,
): RedisConfig {
  return new RedisConfig(replaceOptions?.(options) ?? options, {});
}

/**
 * A shard that another process has added: at its address, with the login of the first of ours that is spoken to in the
 * same way. None of ours goes out in the clear because somebody else says so.
 */
function elsewhere(config: RedisConfig, address: string): ResolvedConnection {
  const shards = [...config.shards.values()].map(({ connection }) => connection);
  const known = shards.length === 0 ? [config.defaultConnection] : shards;
  const { protocol, hostname, port, pathname } = new URL(address);
  const secured = protocol === SECURED;
  const base = known.find(({ tls }) => (tls !== undefined) === secured) ?? (secured ? known[0] : undefined);
  if (base === undefined) throw inTheClear(address);
  const addresses = [{ host: hostname.replace(/^\[|\]$/gu, ''), port: Number(port) }];
  const tls = secured ? (base.tls ?? {}) : undefined;
  const db = Number(pathname.slice(1));
  return { ...base, topology: 'standalone', sentinel: undefined, addresses, db, tls };
}

function inTheClear(address: string): ShardUnavailableError {
  return new ShardUnavailableError(`${address} is not TLS, and all shards of this process are`, {
    hint: 'name that shard in the options of every process, or add it by its rediss:// address',
  });
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
  return `${tls === undefined ? PLAIN : SECURED}//${host}:${first.port}/${db}`;
}
