export { type ManyLoader, type ManyValues } from './loading/batch-loader.js';
export type { CacheSurroundings, TierBase, Tiers } from './cache-engine.js';
export {
  CacheClosedError,
  CacheLoadTimeoutError,
  InvalidCacheKeyError,
  InvalidCacheOptionsError,
  RecursiveLoadError,
} from './cache.errors.js';
export {
  cacheCleanup,
  copiesCleanup,
  dropScript,
  generationCleanup,
  settleValueScript,
  type CacheCleanupParts,
  type GenerationCleanupParts,
} from './cache.cleanup.js';
export { CacheEvict } from './cacheable/cache-evict.decorator.js';
export { CacheKeys, type Sweep } from './cache.keys.js';
export {
  CACHE_DEFAULTS,
  resolveCache,
  ttlOf,
  type CacheOptions,
  type LoadTimeoutOptions,
  type ResolvedCache,
} from './cache.options.js';
export { CachePut } from './cacheable/cache-put.decorator.js';
export { isCachedRoute } from './cacheable/cacheable-binding.js';
export { Cacheable, type CachedMethodDecorator } from './cacheable/cacheable.decorator.js';
export {
  CacheableMethodError,
  MissingCacheContextError,
  UnkeyableArgumentError,
} from './cacheable/cacheable.errors.js';
export { CacheableExplorer } from './cacheable/cacheable.explorer.js';
export {
  loadOptionsOf,
  type CacheableOptions,
  type CacheEvictOptions,
  type CachePutOptions,
  type RouteCacheOptions,
} from './cacheable/cacheable.options.js';
export { argumentsKey, bounded } from './cacheable/cacheable-key.js';
export {
  routeName,
  type CachedRoute,
  type RouteAnswers,
  type RouteContext,
  type RouteQuestion,
} from './cacheable/cacheable-route.js';
export {
  Cacheables,
  ContextCache,
  type CacheablesParts,
  type NamedCacheOptions,
} from './cacheable/cacheables.js';
export {
  ContextSegments,
  withRequest,
  type ContextResolver,
  type ContextResolvers,
} from './cacheable/context-segments.js';
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
export type { CacheContract, CacheTypes, CacheValue } from './cache-contract.js';
export { CacheService } from './cache-service.js';
export { logCacheEvents, type CacheLogFields, type CacheLogger, type CacheLogOptions } from './cache-log.js';
export type { CacheMemory } from './cache-memory.js';
export type { CacheServiceStats, CacheStats, L1Summary } from './cache-stats.js';
export {
  ANEW,
  type CacheOutcome,
  type CacheSetOptions,
  type GetOptions,
  type LoadContext,
  type Loader,
  type LoadOptions,
  type ReadOptions,
} from './call.options.js';
export type { EntryState, Explanation, TagExplanation } from './explain.js';
export { FallbackCache, type FallbackExplanation, type FallbackState } from './fallback/fallback-cache.js';
export {
  FALLBACK_DEFAULTS,
  resolveFallback,
  type FallbackOptions,
  type ResolvedFallback,
} from './fallback/fallback.options.js';
export type { FallbackSurroundings } from './fallback/fallback-standby.js';
export type { FallbackChange, FallbackMode } from './fallback/fallback-switch.js';
export { NearCache, type L1Stats, type NearCacheOptions, type NearTiers } from './l1/l1-near-cache.js';
export type { L1Source, L1TrackingStatus } from './l1/l1-tracking.js';
export {
  L1_DEFAULTS,
  resolveL1,
  type Isolation,
  type L1Options,
  type L1Sync,
  type ResolvedL1,
} from './l1/l1.options.js';
export { acquireScript, fillScript, releaseScript, renewScript } from './loading/lease.scripts.js';
export {
  acceptScript,
  adoptScript,
  learnScript,
  membersScript,
  prepareScript,
  renewMemberScript,
} from './sharded/sharded.scripts.js';
export {
  ShardedCache,
  type ShardHome,
  type ShardedStats,
  type ShardedStatus,
  type ShardStatus,
} from './sharded/sharded-cache.js';
export { ShardChangeError, ShardQuorumError, ShardUnavailableError } from './sharded/sharded.errors.js';
export {
  resolveShardLease,
  SHARDED_DEFAULTS,
  type OpenShard,
  type ShardOptions,
  type ShardedSurroundings,
  type ShardPlan,
} from './sharded/sharded.options.js';
export type { FleetEvent } from './sharded/shard-fleet.js';
export type { MoveStatus } from './sharded/shard-mover.js';
export { slotOf, SlotTable, type SlotShare } from './sharded/slot-table.js';
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
