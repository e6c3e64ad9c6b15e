/** What `RedisAdapter` keeps on every topology. */
import type { RedisAdapter } from '../../src/connection/index.js';
import type { Contract } from './contract.js';
import { structures } from './redis-adapter/structures.js';
import { values } from './redis-adapter/values.js';

/** `create` hands out adapters with the default expiry of an hour. */
export const redisAdapterContract: Contract<RedisAdapter> = {
  name: 'RedisAdapter',
  cases: [...values, ...structures],
};
