/** What several shards together can fail with. */
import { RedisModuleError } from '../../core/index.js';

/** The shards that answer are too few to agree, so nothing was changed; an invalidation may not be in force. */
export class ShardQuorumError extends RedisModuleError {
  readonly code = 'SHARD_QUORUM';
}

/** The shard of this key is away, and this call can not do without it. */
export class ShardUnavailableError extends RedisModuleError {
  readonly code = 'SHARD_UNAVAILABLE';
}

/** Shards can not be changed like that, or not now. */
export class ShardChangeError extends RedisModuleError {
  readonly code = 'SHARD_CHANGE';
}
