/** Options of a fleet of shards, and what it is put together from. */
import type { CodecOptions } from '../../codec/index.js';
import type { ConnectionOptions, RedisClient } from '../../connection/index.js';
import { parsePositiveDuration, type Clock, type Duration } from '../../core/index.js';
import type { ResolvedL1 } from '../l1/l1.options.js';
import { ShardChangeError } from './sharded.errors.js';

/** One shard: a connection like any other, and its share. */
export interface ShardOptions extends ConnectionOptions {
  /** Its share of the keys, beside the others' weights; 0 only takes part in decisions. @default 1 */
  weight?: number;
}

/** One shard, ready to be used. */
export interface OpenShard {
  readonly client: RedisClient;
  /** Where it is, without login, for processes that were not told of it; empty for one in this process. */
  readonly address: string;
  /** The client belongs to somebody else, who closes it. @default false */
  readonly shared?: boolean;
  /** What is allowed in its options and probably not meant, one line each, without secrets. */
  readonly warnings?: readonly string[];
}

export interface ShardPlan<Options = unknown> {
  /** Its share of the keys, beside the others' weights; 0 only takes part in decisions. @default 1 */
  readonly weight?: number | undefined;
  readonly options: Options;
}

export interface ShardedSurroundings<Options = unknown> {
  /** By stable ids, which decide who owns what; not to be reused for another server. */
  readonly shards: Readonly<Record<string, ShardPlan<Options>>>;
  /** Makes the client of a shard; of one that only the fleet knows, by its address alone. */
  open(id: string, plan: { options: Options } | { address: string }): OpenShard;
  readonly namespace: string;
  readonly codec?: CodecOptions | undefined;
  readonly l1?: ResolvedL1 | false | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
  /**
   * For how long a process may go on by the topology it knows without hearing from the shards. A change waits at
   * most that long for a process that is silent. @default '2s'
   */
  readonly lease?: Duration | undefined;
}

export const SHARDED_DEFAULTS = { lease: '2s', weight: 1 } as const;
const MOST_WEIGHT = 1_000_000;
const SHORTEST_LEASE_MS = 200;
const ID = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$/u;

export function resolveShardLease(lease: Duration | undefined): number {
  const ms = parsePositiveDuration(lease ?? SHARDED_DEFAULTS.lease, 'shardLease');
  if (ms >= SHORTEST_LEASE_MS) return ms;
  throw new ShardChangeError(`shardLease: it is shorter than ${SHORTEST_LEASE_MS} ms`);
}

export function checkShardId(id: string): string {
  if (ID.test(id)) return id;
  throw new ShardChangeError('the id of a shard has letters, digits, - and _ only, and at most 63 of them', {
    hint: "give it a name that stays when the server changes: 'a', 'shard-1'",
  });
}

export function checkWeight(weight: number): number {
  if (Number.isFinite(weight) && weight >= 0 && weight <= MOST_WEIGHT) return weight;
  throw new ShardChangeError(`the weight of a shard is a number from 0 to ${MOST_WEIGHT}`);
}
