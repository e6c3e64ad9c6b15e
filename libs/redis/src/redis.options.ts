/** What `RedisModule.forRoot`, `forRootAsync` and `createRedis` take: one object, everything optional. */
import type { ConnectionOptions } from './connection/index.js';

export interface RedisModuleOptions extends ConnectionOptions {
  /**
   * First segment of every key this package makes up, so that several applications may share a server.
   * @default 'app'
   */
  namespace?: string;
  /**
   * Further connections by name: `@InjectRedis('reports')` or `redis.connection('reports')`. Each stands on its
   * own: neither the environment nor the options beside this one complete it.
   */
  connections?: Readonly<Record<string, ConnectionOptions>>;
}
