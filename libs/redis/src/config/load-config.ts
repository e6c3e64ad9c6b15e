/** The whole way from options and environment to a configuration: every fault on it ends up in one error. */
import {
  resolveCache,
  resolveFallback,
  resolveShardLease,
  resolveL1,
  type CacheOptions,
  type ContextResolvers,
  type NamedCacheOptions,
  type ResolvedFallback,
  type ResolvedL1,
} from '../cache/index.js';
import { resolveCleanup, type ResolvedCleanup } from '../cleanup/index.js';
import { resolveCodec, type CodecOptions } from '../codec/index.js';
import { DEFAULT_CONNECTION, resolveConnection, type ResolvedConnection } from '../connection/index.js';
import { resolveLock, type LockOptions } from '../lock/index.js';
import { resolvePubSub, type PubSubOptions } from '../pubsub/index.js';
import { isRedisModuleError, parsePositiveDuration, type Duration } from '../core/index.js';
import { resolveHttpCache, type ResolvedHttpCache } from '../http-cache/index.js';
import {
  resolveHealth,
  resolveMetrics,
  type HealthSettings,
  type ResolvedMetrics,
} from '../monitoring/index.js';
import type { RedisModuleOptions } from '../redis.options.js';
import { draftConnection, ignoredVariables, type ConnectionDraft } from './connection-draft.js';
import type { Env } from './environment.js';
import { InvalidConfigError, type Fault } from './invalid-config.error.js';
import { environmentLayer, optionsLayer, type Layer } from './layer.js';
import { redact } from './masking.js';
import { originsOf, type Origins } from './origins.js';
import { readEnvironment, secretsOf } from './read-environment.js';
import { checkRateLimit, type RateLimitOptions } from '../rate-limit/index.js';
import { resolveSession, type ResolvedSession } from '../session/index.js';
import { resolveTasks, type ResolvedTasks } from '../tasks/index.js';
import { readOptions, secretsOfOptions, type OptionsReading } from './read-options.js';
import { warningsOf } from './warnings.js';

/** A shard of `ShardedCache`. */
export interface ConfiguredShard {
  readonly connection: ResolvedConnection;
  readonly weight: number | undefined;
}

export interface LoadedConfig {
  readonly namespace: string;
  readonly defaultConnection: ResolvedConnection;
  readonly connections: ReadonlyMap<string, ResolvedConnection>;
  readonly shards: ReadonlyMap<string, ConfiguredShard>;
  readonly shardLeaseMs: number;
  readonly cacheTtlMs: number | undefined;
  readonly cache: CacheOptions;
  readonly l1: ResolvedL1 | false;
  readonly cacheLog: boolean;
  readonly caches: Readonly<Record<string, NamedCacheOptions>>;
  readonly contexts: ContextResolvers;
  readonly httpCache: ResolvedHttpCache;
  readonly fallback: ResolvedFallback;
  readonly codec: CodecOptions | undefined;
  readonly rateLimit: RateLimitOptions;
  readonly sessionTtlMs: number | undefined;
  readonly session: ResolvedSession;
  readonly tasks: ResolvedTasks;
  readonly lock: LockOptions;
  readonly pubsub: PubSubOptions;
  readonly health: HealthSettings;
  readonly tracing: boolean;
  readonly logFields: boolean | undefined;
  readonly cleanup: ResolvedCleanup;
  readonly metrics: ResolvedMetrics | false;
  readonly source: string;
  readonly origins: Origins;
  readonly production: boolean;
  readonly warnings: readonly string[];
}

const DEFAULT_NAMESPACE = 'app';

const NO_SERVER: Fault = {
  where: 'REDIS_URL',
  problem: 'nothing says where Redis is, and NODE_ENV is production',
  hint: "set REDIS_URL or give `url`; to do without Redis, in one process and until it exits, write topology: 'embedded' or REDIS_TOPOLOGY=embedded",
};

export function loadConfig(options: RedisModuleOptions, env: Env): LoadedConfig {
  const reading = readOptions(options);
  const code = optionsLayer(reading.main);
  const environment = readEnvironment(env, ignoredVariables(code));
  const layers = [code, environmentLayer(environment)];
  const silent = env['NODE_ENV'] === 'production' ? NO_SERVER : undefined;
  const draft = draftConnection(layers, silent);
  const main = resolveDraft(DEFAULT_CONNECTION, draft);
  const others = namedConnections(reading.connections);
  const shards = namedConnections(reading.shards);
  const cache = resolveCaching(options, environment.values.REDIS_CACHE_TTL);
  const session = resolveSessionsAndTasks(options, environment.values.REDIS_SESSION_TTL, {
    production: env['NODE_ENV'] === 'production',
    judged: reading.faults.length === 0,
  });

  const faults = [reading, environment, main, ...others, ...shards, cache, session].flatMap(
    (part) => part.faults,
  );
  if (main.connection === undefined || session.settings === undefined || faults.length > 0) {
    throw new InvalidConfigError(redact(faults, [...secretsOf(env), ...secretsOfOptions(options)]));
  }
  return {
    namespace: options.namespace ?? environment.values.REDIS_NAMESPACE ?? DEFAULT_NAMESPACE,
    defaultConnection: main.connection,
    connections: new Map(
      others.flatMap(({ connection }) => (connection === undefined ? [] : [[connection.name, connection]])),
    ),
    shards: new Map(
      shards.flatMap(({ connection }) => {
        const weight = connection === undefined ? undefined : options.shards?.[connection.name]?.weight;
        return connection === undefined ? [] : [[connection.name, { connection, weight }]];
      }),
    ),
    shardLeaseMs: resolveShardLease(options.shardLease),
    cacheTtlMs: milliseconds(environment.values.REDIS_CACHE_TTL),
    cache: cache.options,
    l1: cache.l1,
    cacheLog: options.cache?.log ?? false,
    caches: options.caches ?? {},
    contexts: options.contexts ?? {},
    httpCache: resolveHttpCache(options.httpCache),
    fallback: cache.fallback,
    codec: options.codec,
    rateLimit: options.rateLimit ?? {},
    sessionTtlMs: milliseconds(environment.values.REDIS_SESSION_TTL),
    session: session.settings,
    tasks: session.tasks,
    lock: options.lock ?? {},
    pubsub: options.pubsub ?? {},
    health: resolveHealth(options.health),
    tracing: options.tracing ?? true,
    logFields: options.logFields,
    cleanup: resolveCleanup(options.cleanup),
    metrics: options.metrics === false ? false : resolveMetrics(options.metrics),
    source: draft.source,
    origins: originsOf(options, environment.given),
    production: env['NODE_ENV'] === 'production',
    warnings: [
      ...environment.warnings,
      ...warningsOf(layers),
      ...[...others, ...shards].flatMap(({ layers: its }) => warningsOf(its)),
    ],
  };
}

interface Caching {
  readonly options: CacheOptions;
  readonly l1: ResolvedL1 | false;
  readonly fallback: ResolvedFallback;
  readonly faults: readonly Fault[];
}

/** `cache.ttl` of the code wins over `REDIS_CACHE_TTL`. What the rooms find wrong joins the one list. */
function resolveCaching(options: RedisModuleOptions, ttl: Duration | undefined): Caching {
  const { l1, log: _log, ...given } = options.cache ?? {};
  const cache: CacheOptions = { ...given, ttl: given.ttl ?? ttl };
  try {
    resolveCache(cache);
    for (const named of Object.values(options.caches ?? {})) resolveCache(named);
    resolveHttpCache(options.httpCache);
    resolveCodec(options.codec);
    resolveShardLease(options.shardLease);
    const fallback = resolveFallback(options.fallback);
    checkRateLimit(options.rateLimit);
    resolveLock(options.lock);
    resolvePubSub(options.pubsub);
    if (options.metrics !== false) resolveMetrics(options.metrics);
    return { options: cache, l1: resolveL1(l1), fallback, faults: [] };
  } catch (error) {
    if (!isRedisModuleError(error)) throw error;
    const fault = { where: 'options', problem: error.message, hint: error.hint };
    return { options: {}, l1: false, fallback: resolveFallback(), faults: [fault] };
  }
}

type SessionsAndTasks =
  | { readonly settings: ResolvedSession; readonly tasks: ResolvedTasks; readonly faults: readonly Fault[] }
  | { readonly settings?: undefined; readonly faults: readonly Fault[] };

/** `session.idle` of the code wins over `REDIS_SESSION_TTL`. What the rules refuse is not judged a second time. */
function resolveSessionsAndTasks(
  options: RedisModuleOptions,
  ttl: Duration | undefined,
  { production, judged }: { production: boolean; judged: boolean },
): SessionsAndTasks {
  if (!judged) return { faults: [] };
  try {
    const given = { ...options.session, idle: options.session?.idle ?? ttl };
    return { settings: resolveSession(given, production), tasks: resolveTasks(options.tasks), faults: [] };
  } catch (error) {
    if (!isRedisModuleError(error)) throw error;
    return { faults: [{ where: 'options', problem: error.message, hint: error.hint }] };
  }
}

interface Resolved {
  readonly connection: ResolvedConnection | undefined;
  readonly faults: readonly Fault[];
}

/** They stand on their own: neither the environment nor the top level of the options completes them. */
function namedConnections(
  connections: OptionsReading['connections'],
): readonly (Resolved & { layers: readonly Layer[] })[] {
  return [...connections].map(([name, block]) => {
    const layers = [optionsLayer(block)];
    const silent: Fault = {
      where: block.path,
      problem: 'says nothing about where Redis is',
      hint: "give it `url`, `host`, `cluster` or `sentinel`, or topology: 'embedded'",
    };
    return { layers, ...resolveDraft(name, draftConnection(layers, silent)) };
  });
}

/** Also when there are faults: what the resolvers find belongs into the same list. */
function resolveDraft(name: string, draft: ConnectionDraft): Resolved {
  try {
    return { connection: resolveConnection(name, draft.options, draft.addresses), faults: draft.faults };
  } catch (error) {
    if (!isRedisModuleError(error)) throw error;
    const fault = { where: draft.path, problem: error.message, hint: error.hint };
    return { connection: undefined, faults: [...draft.faults, fault] };
  }
}

function milliseconds(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : parsePositiveDuration(duration);
}
