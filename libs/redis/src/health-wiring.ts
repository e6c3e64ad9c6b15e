/** What capabilities tell of themselves when health is asked for: what stands in for Redis, shards that are away. */
import type { FallbackCache, ShardedCache, ShardStatus } from './cache/index.js';
import type { WiredCache } from './cache-wiring.js';
import type { RedisConfig } from './config/index.js';
import type { RedisClient } from './connection/index.js';
import type { ConnectionHealth, HealthPart } from './monitoring/index.js';

/** Without servers of their own the only shard is the default connection, which is asked anyway. */
export function healthParts(
  config: RedisConfig,
  { fallback, sharded, shardClients }: WiredCache,
): readonly HealthPart[] {
  const parts = [fallbackPart(fallback)];
  return config.shards.size === 0 ? parts : [...parts, shardsPart(sharded, shardClients)];
}

/** A fallback that serves in place of Redis is no failure, but somebody ought to look. */
function fallbackPart(fallback: FallbackCache): HealthPart {
  return {
    name: 'fallback',
    health() {
      const { mode, journal, overflowed } = fallback.state;
      if (mode === 'redis') return { state: 'up', reason: null };
      return {
        state: 'degraded',
        reason: `caches are served from this process (${mode})`,
        details: { journal, overflowed },
      };
    },
  };
}

/** A shard that is away takes its share with it and no more, so only the last one is the end of the cache. */
function shardsPart(sharded: ShardedCache, clients: ReadonlyMap<string, RedisClient>): HealthPart {
  return {
    name: 'shards',
    async health(probe) {
      const { shards } = sharded.status();
      const told = await Promise.all(
        Object.entries(shards).map(async ([id, { state }]) => {
          const client = clients.get(id);
          return client === undefined ? [] : [toSight(id, state, await probe(client))];
        }),
      );
      const sights = told.flat();
      const reasons = [
        ...sights.filter(({ seen }) => seen !== 'up').map(({ text }) => text),
        ...troubleOfFleet(sharded),
      ];
      const isAnyThere = sights.some(({ isAway }) => !isAway);
      return {
        state: reasons.length === 0 ? 'up' : isAnyThere ? 'degraded' : 'down',
        reason: reasons.length === 0 ? null : reasons.join('; '),
        details: Object.fromEntries(sights.map(({ id, seen }) => [id, seen])),
      };
    },
  };
}

function troubleOfFleet(sharded: ShardedCache): string[] {
  const { current, epoch } = sharded.status();
  if (current) return [];
  return epoch === undefined
    ? ['this process does not know yet which shards there are']
    : ['too few shards answer to agree, and none of them is used'];
}

interface Sight {
  readonly id: string;
  readonly seen: string;
  readonly isAway: boolean;
  readonly text: string;
}

/** That the fleet goes on without it counts, whether it answers again or not. */
function toSight(id: string, agreed: ShardStatus['state'], { state, reason }: ConnectionHealth): Sight {
  const seen = agreed === 'out' || agreed === 'returning' ? agreed : state;
  const text = `${id} is ${seen}${reason === null ? '' : `: ${reason}`}`;
  return { id, seen, isAway: state === 'down', text };
}
