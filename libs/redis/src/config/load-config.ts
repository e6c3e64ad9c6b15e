/** The whole way from options and environment to a configuration: every fault on it ends up in one error. */
import { DEFAULT_CONNECTION, resolveConnection, type ResolvedConnection } from '../connection/index.js';
import { isRedisModuleError, parsePositiveDuration, type Duration } from '../core/index.js';
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
  readonly sessionTtlMs: number | undefined;
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

  const faults = [reading, environment, main, ...others].flatMap((part) => part.faults);
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
    sessionTtlMs: milliseconds(environment.values.REDIS_SESSION_TTL),
    source: draft.source,
    warnings: [
      ...environment.warnings,
      ...warningsOf(layers),
      ...others.flatMap(({ layers: its }) => warningsOf(its)),
    ],
  };
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
