/** Which keyspaces the clean-up goes through, and what each capability says of its keys there. */
import { cacheCleanup, copiesCleanup, generationCleanup, type ShardedCache } from './cache/index.js';
import { CleanupService, type CleanupHome } from './cleanup/index.js';
import { createCodec } from './codec/index.js';
import type { RedisConfig } from './config/index.js';
import type { RedisClient } from './connection/index.js';
import { systemClock, type Clock } from './core/index.js';
import { lockCleanup, type LockService } from './lock/index.js';
import { rateLimitCleanup } from './rate-limit/index.js';
import { sessionCleanup } from './session/index.js';

export interface CleanupSubjects {
  readonly client: RedisClient;
  /** What stands in for Redis in this process, if anything does. */
  readonly standby: RedisClient | undefined;
  readonly sharded: ShardedCache;
  readonly locks: LockService;
  readonly clock: Clock | undefined;
}

export function wireCleanup(config: RedisConfig, subjects: CleanupSubjects): CleanupService {
  const { namespace, cleanup: settings } = config;
  const { client, locks, clock } = subjects;
  return new CleanupService({
    client,
    namespace,
    locks,
    settings,
    clock,
    homes: () => homesOf(config, subjects),
  });
}

function homesOf(
  config: RedisConfig,
  { client, standby, sharded, clock = systemClock }: CleanupSubjects,
): CleanupHome[] {
  const { namespace, session } = config;
  const wallNow = (): number => clock.wallNow();
  const codec = createCodec(config.codec, clock);
  const parts = { namespace, codec, wallNow };
  const all: CleanupHome = {
    name: 'default',
    client,
    rules: () => [
      ...cacheCleanup(parts),
      ...lockCleanup(namespace),
      ...rateLimitCleanup(namespace),
      ...sessionCleanup(namespace, session),
    ],
  };
  const copies =
    standby === undefined ? [] : [{ name: 'fallback', client: standby, rules: () => copiesCleanup(parts) }];
  const shards = sharded.homes().map((shard) => ({
    name: `shard:${shard.id}`,
    client: shard.client,
    rules: () => [
      ...cacheCleanup({ ...parts, namespace: shard.namespace }),
      ...generationCleanup({ namespace, current: shard.generation, wallNow }),
    ],
  }));
  return [all, ...copies, ...shards];
}
