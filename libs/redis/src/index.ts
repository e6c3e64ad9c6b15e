export {
  CacheClosedError,
  CacheLoadTimeoutError,
  CacheService,
  InvalidCacheKeyError,
  InvalidCacheOptionsError,
  RecursiveLoadError,
  type CacheOptions,
  type CacheOutcome,
  type CacheSetOptions,
  type CacheStats,
  type CacheTypes,
  type Explanation,
  type L1Options,
  type LoadContext,
  type Loader,
  type LoadOptions,
} from './cache/index.js';
export {
  InvalidConfigError,
  RedisConfig,
  redisEnvironmentSchema,
  TopologyMismatchError,
  validateRedisEnvironment,
  type Env,
} from './config/index.js';
export { UnreadableValueError, UnserializableValueError } from './codec/index.js';
export {
  BackpressureError,
  CommandRefusedError,
  CommandTimeoutError,
  ConnectFailedError,
  ConnectionClosedError,
  ConnectionRegistry,
  defineScript,
  escapeGlob,
  NotConnectedError,
  OutcomeUnknownError,
  RedisAdapter,
  RedisReplyError,
  toKey,
  UnknownConnectionError,
  type CallOptions,
  type ClientStatus,
  type ConnectionOptions,
  type Key,
  type ListenOptions,
  type NodeStatus,
  type RedisClient,
  type Script,
  type SetOptions,
  type Ttl,
  type WriteOptions,
} from './connection/index.js';
export { isRedisModuleError, RedisModuleError, type Duration } from './core/index.js';
export { createRedis, type Redis } from './create-redis.js';
export { RedisModule, type RedisModuleAsyncOptions, type RedisOptionsFactory } from './redis.module.js';
export type { CacheModuleOptions, RedisModuleOptions } from './redis.options.js';
export { InjectRedis, redisToken } from './redis.tokens.js';
export { CircuitOpenError } from './resilience/index.js';
