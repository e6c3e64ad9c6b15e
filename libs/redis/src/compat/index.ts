export { CacheKey, CacheTTL, type CacheKeyFactory, type CacheTTLFactory } from './cache-manager.decorator.js';
export { CacheInterceptor } from './cache-manager.interceptor.js';
export {
  CacheModule,
  type CacheModuleAsyncOptions,
  type CacheModuleOptions,
  type CacheOptionsFactory,
} from './cache-manager.module.js';
export { CACHE_MANAGER } from './cache-manager.tokens.js';
export {
  Cache,
  type CacheItem,
  type CacheManagerOptions,
  type Events,
  type StoredDataRaw,
  type WrapOptions,
  type WrapOptionsRaw,
} from './cache-manager.js';
export { CompatError } from './compat.errors.js';
export { connectRedis, type RedisStoreOptions, type StoreConnection } from './connect-redis.js';
export { expressSessionStore } from '../session/index.js';
export { NativeRedisModule } from './native-redis.module.js';
export { RedisService } from './native-redis.service.js';
export { InjectRedis, nativeRedisToken } from './native-redis.tokens.js';
export {
  InjectThrottlerOptions,
  InjectThrottlerStorage,
  SkipThrottle,
  Throttle,
} from './throttler.decorator.js';
export { ThrottlerException, ThrottlerGuard, type ThrottlerRequest } from './throttler.guard.js';
export {
  ThrottlerModule,
  ThrottlerStorageModule,
  type ThrottlerAsyncOptions,
  type ThrottlerOptionsFactory,
} from './throttler.module.js';
export {
  days,
  hours,
  minutes,
  seconds,
  weeks,
  type ThrottlerLimitDetail,
  type ThrottlerModuleOptions,
  type ThrottlerOptions,
} from './throttler.options.js';
export { hitScript, type Hit, type HitArgs } from './throttler.scripts.js';
export {
  RedisThrottlerStorage,
  type ThrottlerStorage,
  type ThrottlerStorageOptions,
  type ThrottlerStorageRecord,
} from './throttler-storage.js';
