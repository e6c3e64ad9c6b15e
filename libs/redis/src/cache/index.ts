export { type ManyLoader, type ManyValues } from './batch-loader.js';
export type { CacheSurroundings, TierBase, Tiers } from './cache-engine.js';
export {
  CacheClosedError,
  CacheLoadTimeoutError,
  InvalidCacheKeyError,
  InvalidCacheOptionsError,
  RecursiveLoadError,
} from './cache.errors.js';
export { CacheKeys, type Sweep } from './cache.keys.js';
export {
  CACHE_DEFAULTS,
  resolveCache,
  type CacheOptions,
  type LoadTimeoutOptions,
  type ResolvedCache,
} from './cache.options.js';
export {
  hashPutScript,
  putScript,
  raiseScript,
  registerScript,
  removeScript,
  sha1,
  swapScript,
  tickScript,
} from './cache.scripts.js';
export { CacheService, type CacheTypes, type CacheValue } from './cache-service.js';
export type { CacheStats } from './cache-stats.js';
export type {
  CacheOutcome,
  CacheSetOptions,
  GetOptions,
  LoadContext,
  Loader,
  LoadOptions,
  ReadOptions,
} from './call.options.js';
export type { EntryState, Explanation, TagExplanation } from './explain.js';
export { NearCache, type L1Stats, type NearCacheOptions } from './l1-near-cache.js';
export type { L1TrackingStatus } from './l1-tracking.js';
export { L1_DEFAULTS, resolveL1, type Isolation, type L1Options, type ResolvedL1 } from './l1.options.js';
export { acquireScript, fillScript, releaseScript, renewScript } from './lease.scripts.js';
export {
  COUNTER_CLOCK,
  isCounter,
  type CacheEntry,
  type Found,
  type Grant,
  type LeaseAsk,
  type Release,
  type Store,
  type StoreCall,
  type Tier,
} from './store.js';
export { NO_CLOCK, RedisTagClocks, SeenClock, type TagClocks } from './tag-clocks.js';
