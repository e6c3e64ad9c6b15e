/** The effective options as rows for people: nothing that may be a secret gets out, whatever it is called. */
import type { RedisConfig } from './config/index.js';
import type { ConfigRow } from './console/index.js';
import type { ResolvedConnection } from './connection/index.js';

const MASK = '•••';
/** Besides the fields that are known to hold one. */
const SECRET = /pass|secret|token|credential|cert|^key$|^ca$|^keys$|username|passphrase/iu;
const LONGEST = 200;
/** What tells one further connection from another; the rest is as a rule the same for all. */
const OF_OTHERS = new Set([
  'addresses',
  'topology',
  'db',
  'tls',
  'password',
  'readFrom',
  'connect',
  'timeoutMs',
]);

type Origin = ConfigRow['origin'];

export function configRows(config: RedisConfig): readonly ConfigRow[] {
  const { defaultConnection, connections, shards } = config;
  const blocks: [group: string, path: string, block: object][] = [
    ['connection', '', connectionBlock(defaultConnection)],
    ['cache', 'cache', { ...config.cache, log: config.cacheLog }],
    ['near cache', 'cache.l1', config.l1 === false ? { l1: false } : config.l1],
    ['fallback', 'fallback', config.fallback],
    ['http cache', 'httpCache', config.httpCache],
    ['limits', 'rateLimit', config.rateLimit],
    ['sessions', 'session', config.session],
    ['tasks', 'tasks', config.tasks],
    ['locks', 'lock', config.lock],
    ['pub/sub', 'pubsub', config.pubsub],
    ['health', 'health', config.health],
    ['codec', 'codec', codecBlock(config)],
  ];
  const rows = blocks.flatMap(([group, path, block]) => rowsOf(config, group, path, block));
  const named = (group: string, connection: ResolvedConnection): ConfigRow[] =>
    flat(connectionBlock(connection))
      .filter(([option]) => OF_OTHERS.has(option))
      .map(([option, value]) => ({ group, option, value, origin: 'code' }));
  return [
    { group: 'module', option: 'namespace', value: config.namespace, origin: originOf(config, 'namespace') },
    {
      group: 'module',
      option: 'address found in',
      value: config.source,
      origin: originOf(config, 'addresses'),
    },
    ...config.warnings.map((warning): ConfigRow => ({
      group: 'module',
      option: 'warning',
      value: warning,
      origin: 'default',
    })),
    ...rows,
    ...[...connections.values()].flatMap((connection) =>
      named(`connection '${connection.name}'`, connection),
    ),
    ...[...shards].flatMap(([id, { connection, weight }]) => [
      ...named(`shard '${id}'`, connection),
      { group: `shard '${id}'`, option: 'weight', value: String(weight ?? 1), origin: 'code' as const },
    ]),
    ...Object.entries(config.caches).flatMap(([name, options]) =>
      flat(options).map(([option, value]): ConfigRow => {
        return { group: `cache '${name}'`, option, value, origin: 'code' };
      }),
    ),
  ];
}

function connectionBlock({
  name: _name,
  addresses,
  password,
  tls,
  sentinel,
  ...rest
}: ResolvedConnection): object {
  return {
    addresses: addresses.map(({ host, port }) => `${host}:${port}`).join(', ') || 'none',
    password: password === undefined ? 'none' : MASK,
    tls: tls !== undefined,
    ...(sentinel === undefined ? {} : { sentinel: { name: sentinel.name } }),
    ...rest,
  };
}

function codecBlock({ codec = {} }: RedisConfig): object {
  const { encryption = false, serializer = 'json', classes: _classes, ...rest } = codec;
  return {
    serializer: typeof serializer === 'string' ? serializer : 'of the application',
    ...rest,
    encryption: encryption === false ? false : `on, keys ${MASK}`,
  };
}

function rowsOf(config: RedisConfig, group: string, path: string, block: object): ConfigRow[] {
  return flat(block).map(([option, value]) => {
    const full = path === '' ? option : `${path}.${option}`;
    return { group, option, value, origin: originOf(config, full) };
  });
}

/** The nearest that was given on the way down; resolved durations have `Ms` at their end. */
function originOf({ origins }: RedisConfig, path: string): Origin {
  const parts = path.replace(/Ms$/u, '').split('.');
  for (let length = parts.length; length > 0; length -= 1) {
    const at = parts.slice(0, length).join('.');
    // A block that was given does not say that everything in it was.
    if (length < Math.min(parts.length, 2)) break;
    if (origins.code.has(at)) return 'code';
    if (origins.environment.has(at)) return 'environment';
  }
  return 'default';
}

function flat(block: object, above = ''): [option: string, value: string][] {
  return Object.entries(block).flatMap(([name, value]: [string, unknown]) => {
    const option = `${above}${name}`;
    if (value === undefined) return [];
    if (SECRET.test(name)) return [[option, value === 'none' || value === false ? 'none' : MASK]];
    if (typeof value !== 'object' || value === null) return [[option, textOf(value)]];
    if (Array.isArray(value)) return [[option, listOf(value)]];
    return above.split('.').length > 2 ? [[option, 'an object']] : flat(value, `${option}.`);
  });
}

function listOf(values: readonly unknown[]): string {
  if (values.length === 0) return 'none';
  if (values.every((value) => typeof value !== 'object'))
    return values.map(textOf).join(', ').slice(0, LONGEST);
  return `${values.length} entries`;
}

/** A URL may turn up anywhere, with its password. */
function textOf(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  return String(value)
    .replace(/:\/\/\S*@/gu, `://${MASK}@`)
    .slice(0, LONGEST);
}
