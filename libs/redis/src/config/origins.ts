/** Where each option was found: what an operator asks first when a setting is not what they thought. */
import type { RedisModuleOptions } from '../redis.options.js';
import type { VariableName } from './environment.js';
import { FIELDS } from './layer.js';
import { isBlock } from './option-rules.js';

/** Paths of options, as `'cache.ttl'`; what is in neither is a default. */
export interface Origins {
  readonly code: ReadonlySet<string>;
  readonly environment: ReadonlySet<string>;
}

const PATHS: Readonly<Record<VariableName, string>> = {
  ...FIELDS,
  REDIS_URL: 'addresses',
  REDIS_HOST: 'addresses',
  REDIS_PORT: 'addresses',
  REDIS_CLUSTER_NODES: 'addresses',
  REDIS_SENTINELS: 'addresses',
  REDIS_SENTINEL_NAME: 'sentinel.name',
  REDIS_SENTINEL_USERNAME: 'sentinel.username',
  REDIS_SENTINEL_PASSWORD: 'sentinel.password',
  REDIS_CACHE_TTL: 'cache.ttl',
  REDIS_SESSION_TTL: 'session.idle',
  REDIS_NAMESPACE: 'namespace',
};

/** Of the code these say where the server is. */
const ADDRESSES = new Set(['url', 'host', 'port', 'cluster', 'sentinel']);

export function originsOf(options: RedisModuleOptions, given: ReadonlySet<VariableName>): Origins {
  const code = new Set(pathsBelow(options, ''));
  if ([...ADDRESSES].some((name) => code.has(name))) code.add('addresses');
  return { code, environment: new Set([...given].map((name) => PATHS[name])) };
}

function pathsBelow(block: object, above: string): string[] {
  return Object.entries(block).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const path = `${above}${name}`;
    // Two levels are what options have; deeper down are lists and the application's own names.
    return isBlock(value) && above === '' ? [path, ...pathsBelow(value, `${path}.`)] : [path];
  });
}
