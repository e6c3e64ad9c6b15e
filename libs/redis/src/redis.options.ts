/** What `RedisModule.forRoot`, `forRootAsync` and `createRedis` take: one object, everything optional. */
import type { CacheOptions, L1Options } from './cache/index.js';
import type { CodecOptions } from './codec/index.js';
import type { ConnectionOptions } from './connection/index.js';
import type { HealthOptions } from './monitoring/index.js';

/** Options of `CacheService`, and of the copies it keeps in this process. */
export interface CacheModuleOptions extends Omit<CacheOptions, 'codec'> {
  /** The near cache in this process, kept in step with Redis; `false` for none. See docs/near-cache.md. */
  l1?: L1Options | false | undefined;
}

export interface RedisModuleOptions extends ConnectionOptions {
  /**
   * First segment of every key this package makes up, so that several applications may share a server.
   * @default 'app'
   */
  namespace?: string;
  /**
   * Further connections by name: `@InjectRedis('reports')` or `redis.connection('reports')`. Each stands on its
   * own and inherits nothing.
   */
  connections?: Readonly<Record<string, ConnectionOptions>>;
  cache?: CacheModuleOptions;
  /** How cached values become bytes: serializer, compression, encryption. See docs/codec.md. */
  codec?: CodecOptions;
  /** How Redis' health is asked for. See docs/health.md. */
  health?: HealthOptions;
}
