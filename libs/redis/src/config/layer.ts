/**
 * What one source, the code or the environment, says about one connection, in one form for both: so that one
 * can be laid upon the other, and a fault still names the option or the variable it came from.
 */
import {
  CONNECTION_DEFAULTS,
  type Address,
  type ConnectionOptions,
  type PasswordSource,
  type TlsOptions,
} from '../connection/index.js';
import { readAddress } from './address.js';
import { defined } from './defined.js';
import type { EnvironmentValues, VariableName } from './environment.js';
import type { Fault } from './invalid-config.error.js';
import { isBlock } from './option-rules.js';
import type { EnvironmentReading } from './read-environment.js';
import type { BlockReading } from './read-options.js';
import { readRedisUrl, type RedisUrl } from './redis-url.js';
import { host as hostRule, port as portRule } from './rule.js';

export type Field = keyof ConnectionOptions;

/** As {@link ConnectionOptions}, with the addresses read and the URL apart. */
export interface LayerOptions extends Omit<ConnectionOptions, 'url' | 'cluster' | 'sentinel'> {
  cluster?: readonly Address[];
  sentinel?: Omit<NonNullable<ConnectionOptions['sentinel']>, 'nodes'> & { nodes: readonly Address[] };
}

export interface Layer {
  readonly source: 'options' | 'environment';
  /** What a fault names that belongs to no single field. */
  readonly path: string;
  /** What was given, sound or not: a malformed URL still is the address that was meant. */
  readonly given: ReadonlySet<Field>;
  /** How faults call a field: `'REDIS_HOST'`, `'options.host'`. */
  readonly label: (field: Field) => string;
  readonly url: RedisUrl | undefined;
  readonly options: LayerOptions;
  /** As whom to ask sentinels that the other layer names. */
  readonly sentinelLogin: { username?: string; password?: PasswordSource };
  readonly faults: readonly Fault[];
}

const SENTINEL_PORT = 26_379;

/** The variables that are options of the same meaning. */
export const FIELDS = {
  REDIS_URL: 'url',
  REDIS_HOST: 'host',
  REDIS_PORT: 'port',
  REDIS_CLUSTER_NODES: 'cluster',
  REDIS_SENTINELS: 'sentinel',
  REDIS_TOPOLOGY: 'topology',
  REDIS_USERNAME: 'username',
  REDIS_PASSWORD: 'password',
  REDIS_DB: 'db',
  REDIS_TLS: 'tls',
  REDIS_TLS_CA: 'tls',
  REDIS_TLS_CERT: 'tls',
  REDIS_TLS_KEY: 'tls',
  REDIS_TLS_SERVERNAME: 'tls',
  REDIS_TLS_REJECT_UNAUTHORIZED: 'tls',
  REDIS_READ_FROM: 'readFrom',
  REDIS_CONNECT: 'connect',
  REDIS_TIMEOUT: 'timeout',
  REDIS_CONNECT_TIMEOUT: 'connectTimeout',
} as const satisfies Readonly<Partial<Record<VariableName, Field>>>;

const FIELD_OF: Readonly<Partial<Record<VariableName, Field>>> = FIELDS;

export function environmentLayer({ given, values }: EnvironmentReading): Layer {
  const faults: Fault[] = [];
  const names = new Map<Field, string>();
  for (const name of given) {
    const field = FIELD_OF[name];
    if (field !== undefined && !names.has(field)) names.set(field, name);
  }
  const [listed, named] = [given.has('REDIS_SENTINELS'), given.has('REDIS_SENTINEL_NAME')];
  if (listed && !named) {
    const hint = "set REDIS_SENTINEL_NAME to the name the sentinels know the primary by, often 'mymaster'";
    faults.push({ where: 'REDIS_SENTINELS', problem: 'is given without REDIS_SENTINEL_NAME', hint });
  }
  if (named && !listed) {
    faults.push({ where: 'REDIS_SENTINEL_NAME', problem: 'is given without REDIS_SENTINELS' });
  }
  return {
    source: 'environment',
    path: 'environment',
    given: new Set(names.keys()),
    label: (field) => names.get(field) ?? field,
    url: values.REDIS_URL,
    options: environmentOptions(values),
    sentinelLogin: defined({
      username: values.REDIS_SENTINEL_USERNAME,
      password: values.REDIS_SENTINEL_PASSWORD,
    }),
    faults,
  };
}

export function optionsLayer({ path, given, sound }: BlockReading): Layer {
  const options = asConnectionOptions(sound);
  const { url: urlText, cluster, sentinel, ...rest } = options;
  const faults: Fault[] = [];
  const url = urlText === undefined ? undefined : readRedisUrl(urlText);
  if (url?.ok === false) faults.push({ where: `${path}.url`, problem: url.problem, hint: url.hint });
  const nodes = readNodes(cluster?.nodes, {
    where: `${path}.cluster.nodes`,
    port: CONNECTION_DEFAULTS.port,
    faults,
  });
  const sentinels = readNodes(sentinel?.nodes, {
    where: `${path}.sentinel.nodes`,
    port: SENTINEL_PORT,
    faults,
  });
  return {
    source: 'options',
    path,
    given: new Set([...given].filter(isField)),
    label: (field) => `${path}.${field}`,
    url: url?.ok === true ? url.value : undefined,
    options: {
      ...rest,
      ...(nodes === undefined ? {} : { cluster: nodes }),
      ...(sentinel === undefined || sentinels === undefined
        ? {}
        : { sentinel: { ...sentinel, nodes: sentinels } }),
    },
    sentinelLogin: {},
    faults,
  };
}

function environmentOptions(values: EnvironmentValues): LayerOptions {
  const { REDIS_SENTINELS: sentinels, REDIS_SENTINEL_NAME: name } = values;
  return defined({
    host: values.REDIS_HOST,
    port: values.REDIS_PORT,
    cluster: values.REDIS_CLUSTER_NODES,
    sentinel: sentinels === undefined || name === undefined ? undefined : { name, nodes: sentinels },
    topology: values.REDIS_TOPOLOGY,
    username: values.REDIS_USERNAME,
    password: values.REDIS_PASSWORD,
    db: values.REDIS_DB,
    tls: environmentTls(values),
    readFrom: values.REDIS_READ_FROM,
    connect: values.REDIS_CONNECT,
    timeout: values.REDIS_TIMEOUT,
    connectTimeout: values.REDIS_CONNECT_TIMEOUT,
  });
}

function environmentTls(values: EnvironmentValues): boolean | TlsOptions | undefined {
  if (values.REDIS_TLS === false) return false;
  const details = defined({
    ca: values.REDIS_TLS_CA,
    cert: values.REDIS_TLS_CERT,
    key: values.REDIS_TLS_KEY,
    servername: values.REDIS_TLS_SERVERNAME,
    rejectUnauthorized: values.REDIS_TLS_REJECT_UNAUTHORIZED,
  });
  return Object.keys(details).length === 0 ? values.REDIS_TLS : details;
}

function readNodes(
  nodes: readonly unknown[] | undefined,
  at: { where: string; port: number; faults: Fault[] },
): readonly Address[] | undefined {
  if (nodes === undefined) return undefined;
  return nodes.flatMap((node, index) => {
    const outcome = typeof node === 'string' ? readAddress(node, at.port) : undefined;
    if (outcome?.ok === true) return [outcome.value];
    if (outcome === undefined && isAddress(node)) return [{ host: node.host, port: node.port }];
    const { problem, hint } = outcome ?? {
      problem: 'is not an address',
      hint: "write 'host:port' or { host, port }",
    };
    at.faults.push({ where: `${at.where}[${index}]`, problem, hint });
    return [];
  });
}

function isAddress(node: unknown): node is Address {
  return isBlock(node) && hostRule.holds(node['host']) && portRule.holds(node['port']);
}

function isField(name: string): name is Field {
  return name !== 'namespace' && name !== 'connections';
}

/** Boundary: every member has passed the rules of its name. */
function asConnectionOptions(sound: BlockReading['sound']): ConnectionOptions {
  const { namespace: _namespace, connections: _connections, ...connection } = sound;
  return connection;
}
