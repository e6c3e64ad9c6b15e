/** The whole way from options and environment to a configuration: every fault on it ends up in one error. */
import { resolveCache, resolveL1, type CacheOptions, type ResolvedL1 } from '../cache/index.js';
import { resolveCodec, type CodecOptions } from '../codec/index.js';
import { DEFAULT_CONNECTION, resolveConnection, type ResolvedConnection } from '../connection/index.js';
import { isRedisModuleError, parsePositiveDuration, type Duration } from '../core/index.js';
import { resolveHealth, type HealthSettings } from '../monitoring/index.js';
import type { RedisModuleOptions } from '../redis.options.js';
import { draftConnection, ignoredVariables, type ConnectionDraft } from './connection-draft.js';
import type { Env } from './environment.js';
import { InvalidConfigError, type Fault } from './invalid-config.error.js';
import { environmentLayer, optionsLayer, type Layer } from './layer.js';
import { redact } from './masking.js';
import { readEnvironment, secretsOf } from './read-environment.js';
import { readOptions, secretsOfOptions, type OptionsReading } from './read-options.js';
import { warningsOf } from './warnings.js';

export interface LoadedConfig {
  readonly namespace: string;
  readonly defaultConnection: ResolvedConnection;
  readonly connections: ReadonlyMap<string, ResolvedConnection>;
  readonly cacheTtlMs: number | undefined;
  readonly cache: CacheOptions;
  readonly l1: ResolvedL1 | false;
  readonly codec: CodecOptions | undefined;
  readonly sessionTtlMs: number | undefined;
  readonly health: HealthSettings;
  readonly source: string;
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
  const others = namedConnections(reading);
  const cache = resolveCaching(options, environment.values.REDIS_CACHE_TTL);

  const faults = [reading, environment, main, ...others, cache].flatMap((part) => part.faults);
  if (main.connection === undefined || faults.length > 0) {
    throw new InvalidConfigError(redact(faults, [...secretsOf(env), ...secretsOfOptions(options)]));
  }
  return {
    namespace: options.namespace ?? environment.values.REDIS_NAMESPACE ?? DEFAULT_NAMESPACE,
    defaultConnection: main.connection,
    connections: new Map(
      others.flatMap(({ connection }) => (connection === undefined ? [] : [[connection.name, connection]])),
    ),
    cacheTtlMs: milliseconds(environment.values.REDIS_CACHE_TTL),
    cache: cache.options,
    l1: cache.l1,
    codec: options.codec,
    sessionTtlMs: milliseconds(environment.values.REDIS_SESSION_TTL),
    health: resolveHealth(options.health),
    source: draft.source,
    warnings: [
      ...environment.warnings,
      ...warningsOf(layers),
      ...others.flatMap(({ layers: its }) => warningsOf(its)),
    ],
  };
}

interface Caching {
  readonly options: CacheOptions;
  readonly l1: ResolvedL1 | false;
  readonly faults: readonly Fault[];
}

/** `cache.ttl` of the code wins over `REDIS_CACHE_TTL`. What the rooms find wrong joins the one list. */
function resolveCaching(options: RedisModuleOptions, ttl: Duration | undefined): Caching {
  const { l1, ...given } = options.cache ?? {};
  const cache: CacheOptions = { ...given, ttl: given.ttl ?? ttl };
  try {
    resolveCache(cache);
    resolveCodec(options.codec);
    return { options: cache, l1: resolveL1(l1), faults: [] };
  } catch (error) {
    if (!isRedisModuleError(error)) throw error;
    const fault = { where: 'options', problem: error.message, hint: error.hint };
    return { options: {}, l1: false, faults: [fault] };
  }
}

interface Resolved {
  readonly connection: ResolvedConnection | undefined;
  readonly faults: readonly Fault[];
}

/** They stand on their own: neither the environment nor the top level of the options completes them. */
function namedConnections({
  connections,
}: OptionsReading): readonly (Resolved & { layers: readonly Layer[] })[] {
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
