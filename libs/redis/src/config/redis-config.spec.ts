import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { UnknownConnectionError } from '../connection/index.js';
import type { RedisModuleOptions } from '../redis.options.js';
import { TopologyMismatchError } from './driver-params.js';
import type { Env } from './environment.js';
import { InvalidConfigError, type Fault } from './invalid-config.error.js';
import { RedisConfig } from './redis-config.js';

/** Typed: vitest's own matcher is an `any`. */
function containing(text: string): unknown {
  return expect.stringContaining(text);
}

/** Boundary: what callers without types, or with wrong ones, hand in. */
function untyped(options: unknown): RedisModuleOptions {
  return options as RedisModuleOptions;
}

function errorOf(options: unknown, env: Env = {}): InvalidConfigError {
  try {
    const config = new RedisConfig(untyped(options), env);
    throw new Error(`no fault was found: ${inspect(config)}`);
  } catch (error) {
    if (error instanceof InvalidConfigError) return error;
    throw error;
  }
}

function faultsOf(options: unknown, env: Env = {}): readonly Fault[] {
  return errorOf(options, env).faults;
}

/** The connection as one line, for tables. */
function told(options: RedisModuleOptions, env: Env): string {
  const { defaultConnection: found, source } = new RedisConfig(options, env);
  const addresses = found.addresses.map(({ host, port }) => `${host}:${port}`).join(',');
  const login = `${found.username ?? ''}:${typeof found.password === 'function' ? '()' : (found.password ?? '')}`;
  return `${found.topology} ${login}@${addresses}/${found.db}${found.tls === undefined ? '' : ' tls'} from ${source}`;
}

describe('nothing given', () => {
  it('is the embedded default', () => {
    const config = new RedisConfig({}, {});
    expect(config.defaultConnection).toMatchObject({ name: 'default', topology: 'embedded', addresses: [] });
    expect(config).toMatchObject({ namespace: 'app', source: 'nothing: embedded', warnings: [] });
    expect(config).toMatchObject({ cacheTtlMs: undefined, sessionTtlMs: undefined });
  });

  it('is a fault in production', () => {
    const faults = faultsOf({ namespace: 'shop' }, { NODE_ENV: 'production' });
    expect(faults).toEqual([expect.objectContaining({ where: 'REDIS_URL' })]);
    expect(faults[0]?.hint).toContain("topology: 'embedded'");
  });

  it.each<[RedisModuleOptions, Env]>([
    [{ topology: 'embedded' }, {}],
    [{}, { REDIS_TOPOLOGY: 'embedded' }],
    [{}, { REDIS_URL: 'redis://h' }],
    [{ host: 'h' }, {}],
  ])('%j, %j is enough for production', (options, env) => {
    expect(() => new RedisConfig(options, { ...env, NODE_ENV: 'production' })).not.toThrow();
  });
});

describe('the code is laid upon the environment', () => {
  const password = (): string => 'x';
  it.each<[RedisModuleOptions, Env, string]>([
    [{}, { REDIS_URL: 'rediss://a:p@h:1/2' }, 'standalone a:p@h:1/2 tls from REDIS_URL'],
    [{}, { REDIS_HOST: 'h' }, 'standalone :@h:6379/0 from REDIS_HOST'],
    [{}, { REDIS_PORT: '7000' }, 'standalone :@localhost:7000/0 from REDIS_PORT'],
    [{}, { REDIS_URL: 'redis://h:1', REDIS_HOST: 'h', REDIS_PORT: '1' }, 'standalone :@h:1/0 from REDIS_URL'],
    [{}, { REDIS_URL: 'redis://h', REDIS_PASSWORD: 'p' }, 'standalone :p@h:6379/0 from REDIS_URL'],
    [{}, { REDIS_URL: 'redis://:p@h', REDIS_USERNAME: 'a' }, 'standalone a:p@h:6379/0 from REDIS_URL'],
    [{}, { REDIS_URL: 'redis://h', REDIS_TLS: 'true' }, 'standalone :@h:6379/0 tls from REDIS_URL'],
    [{}, { REDIS_HOST: 'h', REDIS_TLS_SERVERNAME: 's' }, 'standalone :@h:6379/0 tls from REDIS_HOST'],
    [
      {},
      { REDIS_HOST: 'h', REDIS_TLS: 'false', REDIS_TLS_SERVERNAME: 's' },
      'standalone :@h:6379/0 from REDIS_HOST',
    ],
    [{}, { REDIS_CLUSTER_NODES: 'a:1,b' }, 'cluster :@a:1,b:6379/0 from REDIS_CLUSTER_NODES'],
    [{}, { REDIS_SENTINELS: 'a', REDIS_SENTINEL_NAME: 'm' }, 'sentinel :@a:26379/0 from REDIS_SENTINELS'],
    [
      {},
      { REDIS_TOPOLOGY: 'cluster', REDIS_URL: 'rediss://a:p@h' },
      'cluster a:p@h:6379/0 tls from REDIS_URL',
    ],
    [{}, { REDIS_TOPOLOGY: 'embedded' }, 'embedded :@/0 from REDIS_TOPOLOGY'],
    [{}, { REDIS_TOPOLOGY: 'standalone' }, 'standalone :@localhost:6379/0 from REDIS_TOPOLOGY'],
    // A URL that is `undefined`, as `config.get()` gives it, says nothing.
    [untyped({ url: undefined }), { REDIS_URL: 'redis://h' }, 'standalone :@h:6379/0 from REDIS_URL'],
    // An address in the code: the environment's is not even read.
    [
      { url: 'redis://h' },
      { REDIS_URL: 'http://bad', REDIS_PORT: 'x' },
      'standalone :@h:6379/0 from options.url',
    ],
    [
      { host: 'h' },
      { REDIS_URL: 'redis://other', REDIS_PORT: '1' },
      'standalone :@h:6379/0 from options.host',
    ],
    [{ cluster: { nodes: ['a'] } }, { REDIS_HOST: 'h' }, 'cluster :@a:6379/0 from options.cluster'],
    [
      { host: 'h' },
      { REDIS_CLUSTER_NODES: 'a', REDIS_TOPOLOGY: 'cluster' },
      'standalone :@h:6379/0 from options.host',
    ],
    [
      { sentinel: { name: 'm', nodes: ['a'] } },
      { REDIS_SENTINELS: 'b', REDIS_SENTINEL_NAME: 'n' },
      'sentinel :@a:26379/0 from options.sentinel',
    ],
    // A topology alone picks from the environment's addresses those that fit it.
    [
      { topology: 'embedded' },
      { REDIS_URL: 'redis://h', REDIS_DB: '1' },
      'embedded :@/0 from options.topology',
    ],
    [{ topology: 'standalone' }, { REDIS_URL: 'redis://h' }, 'standalone :@h:6379/0 from REDIS_URL'],
    [
      { topology: 'standalone' },
      { REDIS_HOST: 'h', REDIS_CLUSTER_NODES: 'a' },
      'standalone :@h:6379/0 from REDIS_HOST',
    ],
    [{ topology: 'cluster' }, { REDIS_CLUSTER_NODES: 'a' }, 'cluster :@a:6379/0 from REDIS_CLUSTER_NODES'],
    [
      { topology: 'sentinel' },
      { REDIS_URL: 'redis://h', REDIS_SENTINELS: 'a', REDIS_SENTINEL_NAME: 'm' },
      'sentinel :@a:26379/0 from REDIS_SENTINELS',
    ],
    // Everything else field by field.
    [{ port: 7000 }, { REDIS_HOST: 'h', REDIS_PORT: '1' }, 'standalone :@h:7000/0 from options.port'],
    [{ db: 3 }, { REDIS_URL: 'redis://h/1' }, 'standalone :@h:6379/3 from REDIS_URL'],
    [{ password }, { REDIS_URL: 'redis://a:old@h' }, 'standalone a:()@h:6379/0 from REDIS_URL'],
    [
      { host: 'h' },
      { REDIS_USERNAME: 'a', REDIS_PASSWORD: 'p' },
      'standalone a:p@h:6379/0 from options.host',
    ],
    [{ tls: false }, { REDIS_URL: 'rediss://h' }, 'standalone :@h:6379/0 from REDIS_URL'],
    [{ url: 'rediss://h' }, { REDIS_TLS: 'false' }, 'standalone :@h:6379/0 tls from options.url'],
    // The user part of a URL is one thing: its password is not tried with another one's user.
    [
      { url: 'redis://:p@h' },
      { REDIS_USERNAME: 'a', REDIS_PASSWORD: 'q' },
      'standalone :p@h:6379/0 from options.url',
    ],
  ])('%j on %j: %s', (options, env, expected) => {
    expect(told(options, env)).toBe(expected);
  });

  it('merges what TLS is told, detail by detail', () => {
    const env = { REDIS_TLS_CA: '-----BEGIN CA', REDIS_TLS_SERVERNAME: 'env' };
    const { defaultConnection } = new RedisConfig({ url: 'rediss://h', tls: { servername: 'code' } }, env);
    expect(defaultConnection.tls).toEqual({ ca: '-----BEGIN CA', servername: 'code' });
  });

  it('fills in how to log in at sentinels that the code names', () => {
    const env = { REDIS_SENTINEL_USERNAME: 'w', REDIS_SENTINEL_PASSWORD: 'p' };
    const sentinel = { name: 'm', nodes: ['a'], username: 'code' };
    expect(new RedisConfig({ sentinel }, env).defaultConnection.sentinel).toMatchObject({
      name: 'm',
      username: 'code',
      password: 'p',
    });
  });

  it('takes behaviour from both, the code first, and resolves durations', () => {
    const env = {
      REDIS_TIMEOUT: '1',
      REDIS_CONNECT_TIMEOUT: '5s',
      REDIS_CONNECT: 'required',
      REDIS_READ_FROM: 'preferReplica',
    };
    const { defaultConnection } = new RedisConfig({ timeout: '100ms', retry: false, pool: { size: 2 } }, env);
    expect(defaultConnection).toMatchObject({ timeoutMs: 100, connectTimeoutMs: 5_000, connect: 'required' });
    expect(defaultConnection).toMatchObject({
      retry: false,
      readFrom: 'preferReplica',
      pool: { size: 2, maxInFlight: 1_000 },
    });
  });

  it('reads what is not about a connection', () => {
    const env = { REDIS_NAMESPACE: 'env', REDIS_CACHE_TTL: '300', REDIS_SESSION_TTL: '24h' };
    expect(RedisConfig.fromEnv(env)).toMatchObject({
      namespace: 'env',
      cacheTtlMs: 300_000,
      sessionTtlMs: 86_400_000,
    });
    expect(new RedisConfig({ namespace: 'code' }, env).namespace).toBe('code');
  });

  it('never changes what it was given', () => {
    const options = { url: 'redis://h', retry: { attempts: 2 }, connections: { a: { host: 'b' } } };
    const before = structuredClone(options);
    expect(new RedisConfig(Object.freeze(options), Object.freeze({})).defaultConnection.retry).toMatchObject({
      attempts: 2,
    });
    expect(options).toEqual(before);
  });
});

describe('named connections', () => {
  it('stand on their own', () => {
    const config = new RedisConfig(
      {
        timeout: '9s',
        connections: { reports: { url: 'redis://:p@r:7000/1' }, scratch: { topology: 'embedded' } },
      },
      { REDIS_URL: 'rediss://a:secret@h', REDIS_PASSWORD: 'secret', REDIS_TIMEOUT: '8s' },
    );
    expect([...config.connections.keys()]).toEqual(['reports', 'scratch']);
    expect(config.connections.get('reports')).toMatchObject({
      name: 'reports',
      topology: 'standalone',
      addresses: [{ host: 'r', port: 7000 }],
      username: undefined,
      password: 'p',
      db: 1,
      tls: undefined,
      timeoutMs: 250,
    });
    expect(config.connections.get('scratch')).toMatchObject({ topology: 'embedded' });
  });

  it('have to say where Redis is', () => {
    expect(faultsOf({ connections: { reports: { timeout: '1s' } } }, { REDIS_URL: 'redis://h' })).toEqual([
      expect.objectContaining({
        where: 'options.connections.reports',
        problem: 'says nothing about where Redis is',
      }),
    ]);
  });
});

describe('contradictions', () => {
  it.each<[unknown, Env, string, string]>([
    [{ url: 'redis://h', host: 'h' }, {}, 'options.url, options.host', 'say more than once where Redis is'],
    [{ url: 'redis://h', port: 6379 }, {}, 'options.url, options.port', 'say more than once'],
    [
      { url: 'redis://h', cluster: { nodes: ['a'] } },
      {},
      'options.url, options.cluster',
      'say more than once',
    ],
    [
      { cluster: { nodes: ['a'] }, sentinel: { name: 'm', nodes: ['a'] } },
      {},
      'options.cluster, options.sentinel',
      'say more than once',
    ],
    [{}, { REDIS_URL: 'redis://a', REDIS_HOST: 'b' }, 'REDIS_URL, REDIS_HOST', 'say more than once'],
    [
      {},
      { REDIS_HOST: 'b', REDIS_CLUSTER_NODES: 'a' },
      'REDIS_HOST, REDIS_CLUSTER_NODES',
      'say more than once',
    ],
    [{ topology: 'cluster' }, {}, 'options.topology', "'cluster' without a node to start from"],
    [{ topology: 'sentinel' }, {}, 'options.topology', "'sentinel' without sentinels"],
    [{}, { REDIS_TOPOLOGY: 'cluster' }, 'REDIS_TOPOLOGY', "'cluster' without a node"],
    [
      { topology: 'standalone', cluster: { nodes: ['a'] } },
      {},
      'options.topology',
      'does not go with options.cluster',
    ],
    [
      { topology: 'embedded', url: 'redis://h' },
      {},
      'options.topology',
      "'embedded' does not go with options.url",
    ],
    [{}, { REDIS_TOPOLOGY: 'embedded', REDIS_HOST: 'h' }, 'REDIS_TOPOLOGY', 'does not go with REDIS_HOST'],
    [{}, { REDIS_SENTINELS: 'a' }, 'REDIS_SENTINELS', 'is given without REDIS_SENTINEL_NAME'],
    [{}, { REDIS_SENTINEL_NAME: 'a' }, 'REDIS_SENTINEL_NAME', 'is given without REDIS_SENTINELS'],
    [
      { cluster: { nodes: ['a'] }, db: 1 },
      {},
      'options.db',
      '1 does not exist: a cluster has database 0 only',
    ],
    [{ topology: 'cluster', url: 'redis://h/2' }, {}, 'options.url', '2 does not exist'],
    [{}, { REDIS_CLUSTER_NODES: 'a', REDIS_DB: '1' }, 'REDIS_DB', '1 does not exist'],
    [
      { url: 'redis://h', readFrom: 'replica' },
      {},
      'options.readFrom',
      "'replica' needs a cluster or sentinels",
    ],
    [{}, { REDIS_READ_FROM: 'replica' }, 'REDIS_READ_FROM', "with topology 'embedded' no replica is known"],
    [
      { url: 'redis://:planted-1@h', password: 'planted-2' },
      {},
      'options.password',
      'something else than options.url',
    ],
    [{ url: 'redis://h/1', db: 2 }, {}, 'options.db', 'something else than options.url'],
    [
      { url: 'redis://:planted-1@h', password: () => 'x' },
      {},
      'options.password',
      'something else than options.url',
    ],
    [
      {},
      { REDIS_URL: 'redis://u@h', REDIS_USERNAME: 'v' },
      'REDIS_USERNAME',
      'something else than REDIS_URL',
    ],
    [{ url: 'rediss://h', tls: false }, {}, 'options.tls', 'is false, but options.url asks for TLS'],
    [
      {},
      { REDIS_URL: 'rediss://h', REDIS_TLS: 'false' },
      'REDIS_TLS',
      'is false, but REDIS_URL asks for TLS',
    ],
    [{ host: 'h', tls: { cert: 'x' } }, {}, 'options.tls', 'has a client certificate without its key'],
    [{ host: 'h', tls: { key: 'x' } }, {}, 'options.tls', 'has a client key without its certificate'],
    [{ password: 'planted-1' }, {}, 'options.password', 'is given, but nothing says where Redis is'],
    [{ db: 1, tls: true }, {}, 'options.db, options.tls', 'are given, but nothing says where Redis is'],
    [{}, { REDIS_PASSWORD: 'planted-1' }, 'REDIS_PASSWORD', 'is given, but nothing says where Redis is'],
    [{ port: 1 }, { REDIS_CLUSTER_NODES: 'a' }, 'options.port', 'means nothing beside REDIS_CLUSTER_NODES'],
    [{ cluster: { nodes: ['a', 5] } }, {}, 'options.cluster.nodes[1]', 'is not an address'],
    [{ cluster: { nodes: [{ host: 'a', port: 0 }] } }, {}, 'options.cluster.nodes[0]', 'is not an address'],
    [{ sentinel: { name: 'm', nodes: ['a:x'] } }, {}, 'options.sentinel.nodes[0]', 'its port is not'],
    [{ url: 'unix:/run/redis.sock' }, {}, 'options.url', 'names a unix socket'],
    [
      { breaker: { openFor: '1m', maxOpenFor: '1s' } },
      {},
      'options',
      'breaker.maxOpenFor: 1000 is not at least `openFor`',
    ],
  ])('%j, %j', (options, env, where, problem) => {
    const faults = faultsOf(options, env);
    expect(faults).toEqual([expect.objectContaining({ where, problem: containing(problem) })]);
    expect(JSON.stringify(faults)).not.toContain('planted');
  });

  it('within a named connection are named after it', () => {
    const connections = { reports: { url: 'redis://a', host: 'b' } };
    expect(faultsOf({ connections }).map(({ where }) => where)).toEqual([
      'options.connections.reports.url, options.connections.reports.host',
    ]);
  });

  it.each<[RedisModuleOptions, Env]>([
    [{ url: 'redis://:p@h', password: 'p' }, {}],
    [{ url: 'redis://h', readFrom: 'preferReplica' }, {}],
    [{ password: 'p', tls: true, db: 1 }, { REDIS_TOPOLOGY: 'embedded' }],
    [{ cluster: { nodes: ['a'] }, db: 0, readFrom: 'replica' }, {}],
    [{ tls: false }, {}],
  ])('there is none in %j, %j', (options, env) => {
    expect(() => new RedisConfig(options, env)).not.toThrow();
  });
});

describe('all faults in one error', () => {
  it('of the environment, the options, their blocks and the named connections', () => {
    const error = errorOf(
      {
        retry: { attempts: 0 },
        timeuot: 1,
        connections: { reports: { port: 0 } },
        breaker: { openFor: '1h' },
      },
      { REDIS_PORT: '99999', REDIS_DB: 'x', NODE_ENV: 'production' },
    );
    expect(error.faults.map(({ where }) => where)).toEqual([
      'options',
      'options.retry.attempts',
      'options.connections.reports.port',
      'REDIS_PORT',
      'REDIS_DB',
      'options',
    ]);
    expect(error.message).toMatch(
      /^6 faults in the Redis configuration:\n {2}1\. options: .*\n[^]*\n {2}6\. options: /u,
    );
  });

  it('says of a malformed URL only that, not also that no server is known', () => {
    const env = { REDIS_URL: 'redis://u:planted@h:99999', REDIS_HOST: 'h', NODE_ENV: 'production' };
    expect(faultsOf({}, env).map(({ where }) => where)).toEqual(['REDIS_URL']);
  });
});

describe('secrets', () => {
  const secrets = [
    'planted-url',
    'planted-env',
    'planted-option',
    'planted-key',
    'planted-sentinel',
    'planted-named',
    'planted%40enc',
    'planted@enc',
  ];
  const options = untyped({
    url: 'redis://app:planted-url@h:99999',
    password: 'planted-option',
    tls: { key: 'planted-key', passphrase: 'planted-key', cert: 5 },
    sentinel: { name: 'm', nodes: ['redis://:planted-sentinel@h'], password: 'planted-sentinel' },
    // The same passwords where they do not belong: a copy-paste slip must not print them.
    host: 'planted-option',
    username: '',
    readFrom: 'planted-option',
    namespace: 'planted-url planted-key',
    connections: { reports: { url: 'http://:planted-named@h', topology: 'planted-named' } },
  });
  const env = {
    REDIS_URL: 'redis://:planted%40enc@h:0',
    REDIS_PASSWORD: 'planted-env',
    REDIS_SENTINEL_PASSWORD: 'planted-sentinel',
    REDIS_TLS_KEY: 'planted-key',
    REDIS_TIMEOUT: 'planted-env',
    REDIS_NAMESPACE: 'planted@enc',
  };

  it('appear in no form of the error', () => {
    const error = errorOf(options, env);
    expect(error.faults.length).toBeGreaterThan(8);
    const printed = [
      error.message,
      String(error),
      error.stack,
      inspect(error, { depth: 9, showHidden: true }),
      JSON.stringify(error),
      JSON.stringify(error.faults),
      inspect(Object.entries(error)),
    ];
    for (const secret of secrets) expect(printed.join('\n')).not.toContain(secret);
  });

  it('appear in no form of the configuration', () => {
    const config = new RedisConfig(
      { url: 'rediss://app:planted-url@h', connections: { a: { host: 'x', password: 'planted-named' } } },
      { REDIS_TLS_CERT: '-----BEGIN planted-key', REDIS_TLS_KEY: '-----BEGIN planted-key' },
    );
    const printed = [
      inspect(config, { depth: 9 }),
      JSON.stringify(config),
      config.source,
      ...config.warnings,
    ].join('\n');
    for (const secret of secrets) expect(printed).not.toContain(secret);
    expect(printed).toContain('h');
  });
});

describe('warnings', () => {
  it.each<[RedisModuleOptions, Env, string]>([
    [{ timeout: 250 }, {}, "options.timeout: 250 means 250 seconds; for milliseconds write '250ms'"],
    [{}, { REDIS_TIMEOUT: '500' }, 'REDIS_TIMEOUT: 500 means 500 seconds'],
    [{ connections: { a: { host: 'h', heartbeat: 500 } } }, {}, 'options.connections.a.heartbeat: 500 means'],
    [{ shards: { a: { host: 'h', timeout: 250 } } }, {}, 'options.shards.a.timeout: 250 means 250 seconds'],
    [{ shards: { a: { url: 'redis://h?family=0' } } }, {}, "options.shards.a.url: the parameter 'family'"],
    [
      { shards: { a: { host: 'h', tls: { rejectUnauthorized: false } } } },
      {},
      'options.shards.a.tls: any certificate is accepted',
    ],
    [{ host: 'h', tls: { rejectUnauthorized: false } }, {}, 'options.tls: any certificate is accepted'],
    [{}, { REDIS_URL: 'rediss://h', REDIS_TLS_REJECT_UNAUTHORIZED: 'false' }, 'any certificate is accepted'],
    [{}, { REDIS_URL: 'redis://h?family=0' }, "REDIS_URL: the parameter 'family' means nothing here"],
    [{}, { REDIS_URI: 'redis://h' }, 'did you mean REDIS_URL?'],
  ])('%j, %j: %s', (options, env, warning) => {
    expect(new RedisConfig(options, env).warnings).toEqual([containing(warning)]);
  });
});

describe('parameters for a raw client', () => {
  const failFast = { commandTimeout: 250, maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false };

  it('of one server', async () => {
    const params = await new RedisConfig({ url: 'rediss://a:p@h:1/2' }, {}).getConnectionParams();
    expect(params).toMatchObject({
      host: 'h',
      port: 1,
      db: 2,
      username: 'a',
      password: 'p',
      tls: {},
      ...failFast,
    });
    expect(params).toMatchObject({ enableOfflineQueue: false, lazyConnect: true, socketTimeout: 2_000 });
    expect(params.reconnectOnError?.(new Error('READONLY You cannot write'))).toBe(true);
    expect(params.reconnectOnError?.(new Error('ERR no'))).toBe(false);
  });

  it('of sentinels', async () => {
    const sentinel = { name: 'm', nodes: ['a:1'], username: 'w', password: () => 'fresh' };
    const params = await new RedisConfig({ sentinel, password: 'p', timeout: '3s' }, {}).getSentinelParams();
    expect(params).toMatchObject({
      name: 'm',
      sentinels: [{ host: 'a', port: 1 }],
      password: 'p',
      failoverDetector: true,
    });
    expect(params).toMatchObject({
      sentinelUsername: 'w',
      sentinelPassword: 'fresh',
      enableOfflineQueue: false,
    });
    expect(params).toMatchObject({ ...failFast, commandTimeout: 3_000, socketTimeout: 3_000 });
    expect(params).not.toHaveProperty('host');
  });

  it('of a cluster, where the queue is switched off at the top level', async () => {
    const { nodes, options } = await new RedisConfig(
      { cluster: { nodes: ['a:1'] }, tls: true },
      {},
    ).getClusterParams();
    expect(nodes).toEqual([{ host: 'a', port: 1 }]);
    expect(options).toMatchObject({
      enableOfflineQueue: false,
      lazyConnect: true,
      redisOptions: { tls: {}, ...failFast },
    });
    const plain = await new RedisConfig({ cluster: { nodes: ['a:1'] } }, {}).getClusterParams();
    expect([options.dnsLookup, plain.options.dnsLookup]).toEqual([expect.any(Function), undefined]);
  });

  it('of a named connection', async () => {
    const config = new RedisConfig({ connections: { reports: { host: 'r' } } }, {});
    expect(await config.getConnectionParams('reports')).toMatchObject({ host: 'r', port: 6379 });
    await expect(config.getConnectionParams('report')).rejects.toThrow(UnknownConnectionError);
  });

  it.each<[RedisModuleOptions, 'getConnectionParams' | 'getClusterParams' | 'getSentinelParams', string]>([
    [{ host: 'h' }, 'getClusterParams', 'call getConnectionParams()'],
    [{ host: 'h' }, 'getSentinelParams', 'call getConnectionParams()'],
    [{ cluster: { nodes: ['a'] } }, 'getConnectionParams', 'call getClusterParams()'],
    [{ sentinel: { name: 'm', nodes: ['a'] } }, 'getConnectionParams', 'call getSentinelParams()'],
    [{}, 'getConnectionParams', 'there is no server to connect to'],
  ])('%j refuses %s', async (options, method, hint) => {
    const error: unknown = await new RedisConfig(options, {})[method]().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TopologyMismatchError);
    expect(error).toMatchObject({ code: 'TOPOLOGY_MISMATCH', hint: containing(hint) });
  });
});
