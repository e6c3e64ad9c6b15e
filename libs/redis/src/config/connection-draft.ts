/**
 * The code laid upon the environment, for one connection. Field by field, with one exception: the address is
 * one thing, so a host from the code is never completed by a port from the environment (see
 * `ignoredVariables`).
 */
import {
  CONNECTION_DEFAULTS,
  type Address,
  type ConnectionOptions,
  type TlsOptions,
  type Topology,
} from '../connection/index.js';
import { ADDRESS_FIELDS, checkLayer } from './check-layer.js';
import { defined } from './defined.js';
import { ENVIRONMENT, VARIABLE_NAMES, type VariableName } from './environment.js';
import type { Fault } from './invalid-config.error.js';
import type { Field, Layer, LayerOptions } from './layer.js';

export interface ConnectionDraft {
  readonly options: ConnectionOptions;
  readonly addresses: readonly Address[];
  /** Where the address was found: `'REDIS_URL'`, `'options.url'`, `'nothing: embedded'`. */
  readonly source: string;
  readonly faults: readonly Fault[];
  /** What a fault names that belongs to no single option. */
  readonly path: string;
}

const ADDRESS_VARIABLES = VARIABLE_NAMES.filter((name) => ENVIRONMENT[name].group === 'address');
const LOGIN_VARIABLES = VARIABLE_NAMES.filter((name) => ENVIRONMENT[name].group === 'login');

/** What of the environment has no say once the code has named a topology and nothing else of the address. */
const USELESS_FOR: Readonly<Record<Topology, readonly VariableName[]>> = {
  standalone: ['REDIS_CLUSTER_NODES', 'REDIS_SENTINELS', 'REDIS_SENTINEL_NAME', 'REDIS_TOPOLOGY'],
  cluster: ['REDIS_SENTINELS', 'REDIS_SENTINEL_NAME', 'REDIS_TOPOLOGY'],
  sentinel: ['REDIS_URL', 'REDIS_HOST', 'REDIS_PORT', 'REDIS_CLUSTER_NODES', 'REDIS_TOPOLOGY'],
  embedded: [...ADDRESS_VARIABLES, ...LOGIN_VARIABLES],
};

/** The variables that are not even looked at, because the code has said what they would say. */
export function ignoredVariables({ given, url, options }: Layer): ReadonlySet<VariableName> {
  const named = given.has('url') || given.has('host') || given.has('cluster') || given.has('sentinel');
  const ignored = new Set<VariableName>(named ? ADDRESS_VARIABLES : []);
  for (const name of options.topology === undefined ? [] : USELESS_FOR[options.topology]) ignored.add(name);
  // The user part of a URL is one thing too: its user must not be tried with another one's password.
  if (url?.username !== undefined || url?.password !== undefined) {
    ignored.add('REDIS_USERNAME').add('REDIS_PASSWORD');
  }
  return ignored;
}

/**
 * `layers`: the code first, then the environment, if it has a say about this connection. `silent`: the fault
 * to report when none of them says where Redis is; without it that means embedded.
 */
export function draftConnection(layers: readonly Layer[], silent?: Fault): ConnectionDraft {
  const faults = layers.flatMap((layer) => [...layer.faults, ...checkLayer(layer)]);
  const options = mergedOptions(layers);
  const topology = options.topology ?? topologyFrom(layers);
  return {
    options: { ...options, topology },
    addresses: addressesOf(topology, layers),
    source: sourceOf(layers),
    // One cause, one fault: the whole is judged only when its parts make sense.
    faults: faults.length > 0 ? faults : faultsOfWhole({ layers, topology, silent }),
    path: layers[0]?.path ?? 'options',
  };
}

/** True when neither code nor environment say where Redis is, or that none is wanted. */
function saysNothing(layers: readonly Layer[]): boolean {
  return !layers.some(
    ({ given }) => given.has('topology') || ADDRESS_FIELDS.some((field) => given.has(field)),
  );
}

/** The layer that a field comes from, said directly or within a URL, and how to call it there. */
function labelOf(
  layers: readonly Layer[],
  field: 'username' | 'password' | 'db' | 'tls' | 'readFrom',
): string | undefined {
  for (const layer of layers) {
    if (layer.given.has(field)) return layer.label(field);
    if (field !== 'readFrom' && layer.url?.[field] !== undefined && layer.url[field] !== false)
      return layer.label('url');
  }
  return undefined;
}

function first<T>(layers: readonly Layer[], pick: (layer: Layer) => T | undefined): T | undefined {
  for (const layer of layers) {
    const value = pick(layer);
    if (value !== undefined) return value;
  }
  return undefined;
}

function mergedOptions(layers: readonly Layer[]): Omit<ConnectionOptions, 'cluster'> {
  const merged = layers.reduceRight<LayerOptions>((under, { options }) => ({ ...under, ...options }), {});
  const { cluster: _cluster, sentinel, ...rest } = merged;
  const login = layers.reduceRight<object>(
    (under, { sentinelLogin }) => ({ ...under, ...sentinelLogin }),
    {},
  );
  return {
    ...rest,
    ...defined({
      username: first(layers, ({ options, url }) => options.username ?? url?.username),
      password: first(layers, ({ options, url }) => options.password ?? url?.password),
      db: first(layers, ({ options, url }) => options.db ?? url?.db),
      tls: mergedTls(layers),
      sentinel: sentinel === undefined ? undefined : { ...login, ...sentinel },
    }),
  };
}

function mergedTls(layers: readonly Layer[]): false | TlsOptions {
  const on = first(layers, ({ options, url }) =>
    options.tls === undefined ? url?.tls || undefined : options.tls !== false,
  );
  if (on !== true) return false;
  return layers.reduceRight<TlsOptions>(
    (under, { options }) => ({ ...under, ...(typeof options.tls === 'object' ? options.tls : {}) }),
    {},
  );
}

function topologyFrom(layers: readonly Layer[]): Topology {
  const given = (field: Field): boolean => layers.some((layer) => layer.given.has(field));
  if (given('cluster')) return 'cluster';
  if (given('sentinel')) return 'sentinel';
  return given('url') || given('host') || given('port') ? 'standalone' : 'embedded';
}

function addressesOf(topology: Topology, layers: readonly Layer[]): readonly Address[] {
  const host = first(layers, ({ options, url }) => options.host ?? url?.host) ?? CONNECTION_DEFAULTS.host;
  const port = first(layers, ({ options, url }) => options.port ?? url?.port) ?? CONNECTION_DEFAULTS.port;
  if (topology === 'embedded') return [];
  if (topology === 'sentinel') return first(layers, ({ options }) => options.sentinel?.nodes) ?? [];
  const nodes = topology === 'cluster' ? first(layers, ({ options }) => options.cluster) : undefined;
  return nodes ?? [{ host, port }];
}

function sourceOf(layers: readonly Layer[]): string {
  for (const layer of layers) {
    const field = ADDRESS_FIELDS.find((each) => layer.given.has(each));
    if (field !== undefined) return layer.label(field);
  }
  const chosen = layers.find(({ given }) => given.has('topology'));
  return chosen === undefined ? 'nothing: embedded' : chosen.label('topology');
}

interface Whole {
  readonly layers: readonly Layer[];
  readonly topology: Topology;
  readonly silent: Fault | undefined;
}

function faultsOfWhole({ layers, topology, silent }: Whole): readonly Fault[] {
  if (silent !== undefined && saysNothing(layers)) return [silent];
  return [
    ...missingAddress(layers, topology),
    ...strayPort(layers, topology),
    ...strayLogin(layers),
    ...databaseOfCluster(layers, topology),
    ...replicasNowhere(layers, topology),
    ...halfCertificate(layers),
  ];
}

function missingAddress(layers: readonly Layer[], topology: Topology): Fault[] {
  const given = (field: Field): boolean => layers.some((layer) => layer.given.has(field));
  const where = layers.find((layer) => layer.given.has('topology'))?.label('topology') ?? 'topology';
  if (topology === 'cluster' && !given('cluster') && !given('url') && !given('host')) {
    const hint =
      'give `cluster: { nodes }` or REDIS_CLUSTER_NODES; one address by URL or host is enough to start from';
    return [{ where, problem: "'cluster' without a node to start from", hint }];
  }
  if (topology === 'sentinel' && !given('sentinel')) {
    const hint = 'give `sentinel: { name, nodes }`, or REDIS_SENTINELS and REDIS_SENTINEL_NAME';
    return [{ where, problem: "'sentinel' without sentinels", hint }];
  }
  return [];
}

/** `port` in the code completes a host of the environment; with nodes there is nothing it could mean. */
function strayPort(layers: readonly Layer[], topology: Topology): Fault[] {
  const [code] = layers;
  if (code === undefined || !code.given.has('port') || code.given.has('host')) return [];
  const nodes = layers.find(({ given }) => given.has('cluster') || given.has('sentinel'));
  if (nodes === undefined || (topology !== 'cluster' && topology !== 'sentinel')) return [];
  const list = nodes.label(topology);
  return [
    {
      where: code.label('port'),
      problem: `means nothing beside ${list}`,
      hint: `write the ports into ${list}`,
    },
  ];
}

/** A password without a server is a forgotten address, and no wish for the embedded store. */
function strayLogin(layers: readonly Layer[]): Fault[] {
  if (!saysNothing(layers)) return [];
  const fields = (['username', 'password', 'db', 'tls'] as const).filter((field) =>
    field === 'tls' ? mergedTls(layers) !== false : labelOf(layers, field) !== undefined,
  );
  if (fields.length === 0) return [];
  return [
    {
      where: fields.map((field) => labelOf(layers, field)).join(', '),
      problem: `${fields.length === 1 ? 'is' : 'are'} given, but nothing says where Redis is`,
      hint: "set REDIS_URL or REDIS_HOST (options `url`, `host`), or write topology: 'embedded' to do without Redis",
    },
  ];
}

function databaseOfCluster(layers: readonly Layer[], topology: Topology): Fault[] {
  const db = first(layers, ({ options, url }) => options.db ?? url?.db) ?? 0;
  if (topology !== 'cluster' || db === 0) return [];
  const hint = 'keep applications apart by `namespace` instead';
  return [
    {
      where: labelOf(layers, 'db') ?? 'db',
      problem: `${db} does not exist: a cluster has database 0 only`,
      hint,
    },
  ];
}

/** `preferReplica` goes everywhere; `replica` is a promise that needs a topology which knows its replicas. */
function replicasNowhere(layers: readonly Layer[], topology: Topology): Fault[] {
  const readFrom = first(layers, ({ options }) => options.readFrom);
  if (readFrom !== 'replica' || topology === 'cluster' || topology === 'sentinel') return [];
  return [
    {
      where: labelOf(layers, 'readFrom') ?? 'readFrom',
      problem: `'replica' needs a cluster or sentinels: with topology '${topology}' no replica is known`,
      hint: "'preferReplica' reads from a replica where there is one",
    },
  ];
}

function halfCertificate(layers: readonly Layer[]): Fault[] {
  const tls = mergedTls(layers);
  if (tls === false || (tls.cert === undefined) === (tls.key === undefined)) return [];
  const [given, missing] = tls.cert === undefined ? ['key', 'certificate'] : ['certificate', 'key'];
  return [
    {
      where: labelOf(layers, 'tls') ?? 'tls',
      problem: `has a client ${given} without its ${missing}`,
      hint: 'give both (`tls.cert` and `tls.key`, REDIS_TLS_CERT and REDIS_TLS_KEY) or neither',
    },
  ];
}
