/**
 * The catalogue of environment variables. Validation, the table in docs/configuration.md and the Standard
 * Schema are all made from it, so none of them can name a variable that the others do not know.
 */
import { CONNECTION_DEFAULTS, type ReadFrom, type Topology } from '../connection/index.js';
import type { Outcome } from './outcome.js';
import * as read from './read-text.js';
import * as rule from './rule.js';

export type Env = Readonly<Record<string, string | undefined>>;

/**
 * `address`: where the server is, ignored once the code says so itself. `login`: as whom, and secured how.
 * `behaviour`: everything else.
 */
type VariableGroup = 'address' | 'login' | 'behaviour';

export interface Variable<T = unknown> {
  readonly group: VariableGroup;
  /** As the table calls it. */
  readonly type: string;
  readonly what: string;
  readonly default?: string;
  readonly example: string;
  /** The value, or a part of it, may never be shown. */
  readonly secret?: true;
  readonly read: (text: string) => Outcome<T>;
}

type Described<T> = Omit<Variable<T>, 'type' | 'read'> & { readonly as: read.TextReader<T> };

function variable<T>({ as, ...described }: Described<T>): Variable<T> {
  return { ...described, type: as.type, read: as.read };
}

const { host, port, db, timeout, connectTimeout } = CONNECTION_DEFAULTS;

export const ENVIRONMENT = {
  REDIS_URL: variable({
    group: 'address',
    as: read.url,
    what: 'The whole address, with user, password and database; `rediss://` for TLS. `valkey://` and `valkeys://` are the same',
    example: 'rediss://app:secret@redis.internal:6379/0',
    secret: true,
  }),
  REDIS_HOST: variable({
    group: 'address',
    as: read.one('host', rule.host),
    what: 'The server, where there is no URL',
    default: `${host}, when only REDIS_PORT is set`,
    example: 'redis.internal',
  }),
  REDIS_PORT: variable({
    group: 'address',
    as: read.whole('port', rule.port),
    what: 'Its port',
    default: String(port),
    example: '6380',
  }),
  REDIS_CLUSTER_NODES: variable({
    group: 'address',
    as: read.nodes(port),
    what: 'Some nodes of a Redis Cluster; the others are learnt from them',
    example: '10.0.0.1:6379,10.0.0.2:6379',
  }),
  REDIS_SENTINELS: variable({
    group: 'address',
    as: read.nodes(26_379),
    what: 'The sentinels that know where the primary is',
    example: '10.0.0.1:26379,10.0.0.2:26379',
  }),
  REDIS_SENTINEL_NAME: variable({
    group: 'address',
    as: read.one('text', rule.text),
    what: 'The name the sentinels know the primary by',
    example: 'mymaster',
  }),
  REDIS_TOPOLOGY: variable({
    group: 'address',
    as: read.choice<Topology>('standalone', 'cluster', 'sentinel', 'embedded'),
    what: '`embedded` keeps everything in this process, also in production; the others are seen from the addresses',
    default: 'from the addresses given',
    example: 'embedded',
  }),
  REDIS_USERNAME: variable({
    group: 'login',
    as: read.one('text', rule.text),
    what: 'ACL user',
    example: 'app',
  }),
  REDIS_PASSWORD: variable({
    group: 'login',
    as: read.secret,
    what: 'Its password, or the one of `requirepass`',
    example: 'secret',
    secret: true,
  }),
  REDIS_DB: variable({
    group: 'login',
    as: read.whole('whole number', rule.database),
    what: 'Number of the database',
    default: String(db),
    example: '2',
  }),
  REDIS_SENTINEL_USERNAME: variable({
    group: 'login',
    as: read.one('text', rule.text),
    what: 'ACL user of the sentinels themselves',
    example: 'watcher',
  }),
  REDIS_SENTINEL_PASSWORD: variable({
    group: 'login',
    as: read.secret,
    what: 'Their password',
    example: 'secret',
    secret: true,
  }),
  REDIS_TLS: variable({
    group: 'login',
    as: read.flag,
    what: '`true` for TLS with a `redis://` URL or a host; `false` leaves the other REDIS_TLS_ variables unused',
    default: 'true with `rediss://` or with any of the next five, else false',
    example: 'true',
  }),
  REDIS_TLS_CA: variable({
    group: 'login',
    as: read.pem,
    what: 'Authorities to trust instead of the system’s: the PEM text, or the path of a file with it',
    example: '/etc/redis/ca.pem',
  }),
  REDIS_TLS_CERT: variable({
    group: 'login',
    as: read.pem,
    what: 'Certificate to show to the server: the PEM text, or the path of a file with it',
    example: '/etc/redis/client.pem',
  }),
  REDIS_TLS_KEY: variable({
    group: 'login',
    as: read.secretPem,
    what: 'Key of that certificate: the PEM text, or the path of a file with it',
    example: '/etc/redis/client.key',
    secret: true,
  }),
  REDIS_TLS_SERVERNAME: variable({
    group: 'login',
    as: read.one('host', rule.host),
    what: 'Name the server’s certificate has to bear',
    default: 'the host',
    example: 'redis.internal',
  }),
  REDIS_TLS_REJECT_UNAUTHORIZED: variable({
    group: 'login',
    as: read.flag,
    what: '`false` accepts any certificate, and so anybody in between',
    default: 'true',
    example: 'true',
  }),
  REDIS_READ_FROM: variable({
    group: 'behaviour',
    as: read.choice<ReadFrom>('primary', 'replica', 'preferReplica'),
    what: 'Which nodes answer reads',
    default: CONNECTION_DEFAULTS.readFrom,
    example: 'preferReplica',
  }),
  REDIS_CONNECT: variable({
    group: 'behaviour',
    as: read.choice<'lazy' | 'required'>('lazy', 'required'),
    what: '`lazy` boots without Redis, `required` refuses to',
    default: CONNECTION_DEFAULTS.connect,
    example: 'required',
  }),
  REDIS_TIMEOUT: variable({
    group: 'behaviour',
    as: read.duration,
    what: 'Total time for a call, retries included',
    default: timeout,
    example: '500ms',
  }),
  REDIS_CONNECT_TIMEOUT: variable({
    group: 'behaviour',
    as: read.duration,
    what: 'Time for a connection to be made, secured and checked',
    default: connectTimeout,
    example: '5s',
  }),
  REDIS_CACHE_TTL: variable({
    group: 'behaviour',
    as: read.duration,
    what: 'How long a cached value lives where the call does not say',
    example: '300',
  }),
  REDIS_SESSION_TTL: variable({
    group: 'behaviour',
    as: read.duration,
    what: 'How long a session lives',
    example: '24h',
  }),
  REDIS_NAMESPACE: variable({
    group: 'behaviour',
    as: read.one('text', rule.namespace),
    what: 'First segment of every key, so that several applications may share a server',
    default: 'app',
    example: 'shop',
  }),
} as const;

export type VariableName = keyof typeof ENVIRONMENT;

/** What the variables hold once read; those that are unset, empty or wrong are absent. */
export type EnvironmentValues = {
  readonly [Name in VariableName]?: (typeof ENVIRONMENT)[Name] extends Variable<infer T> ? T : never;
};

export const VARIABLE_NAMES: readonly VariableName[] = Object.keys(ENVIRONMENT).filter(isVariableName);

export function isVariableName(name: string): name is VariableName {
  return Object.hasOwn(ENVIRONMENT, name);
}
