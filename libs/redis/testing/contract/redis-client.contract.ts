/** What every implementation of the `RedisClient` port keeps, whatever stands behind it. */
import type { RedisClient } from '../../src/connection/index.js';
import type { Contract } from './contract.js';
import { batches } from './redis-client/batches.js';
import { errors } from './redis-client/errors.js';
import { life } from './redis-client/life.js';
import { messages } from './redis-client/messages.js';
import { replies } from './redis-client/replies.js';
import { scanning } from './redis-client/scanning.js';
import { scripts } from './redis-client/scripts.js';

/** `create` hands out clients that are not opened yet and have room for 10,000 calls in flight. */
export const redisClientContract: Contract<RedisClient> = {
  name: 'RedisClient',
  cases: [...replies, ...errors, ...batches, ...scripts, ...scanning, ...messages, ...life],
};
