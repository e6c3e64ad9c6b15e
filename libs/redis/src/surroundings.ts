/** What the engines stand in: the real world, unless a test puts another one in its place. */
import type { ClientSurroundings } from './connection/index.js';
import type { RedisModuleOptions } from './redis.options.js';

export interface Surroundings extends ClientSurroundings {
  /** Other options in place of those the application gives; with it the environment is not read. */
  readonly replaceOptions?: ((options: RedisModuleOptions) => RedisModuleOptions) | undefined;
}
