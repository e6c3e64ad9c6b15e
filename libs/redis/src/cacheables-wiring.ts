/** What the cache decorators of one application work on. */
import { Cacheables, type CacheContract } from './cache/index.js';
import type { RedisConfig } from './config/index.js';
import type { Clock } from './core/index.js';
import { HttpAnswers } from './http-cache/index.js';

/** What of Nest is needed, once it listens. */
interface HttpHost {
  readonly httpAdapter?: { getHttpServer(): { emit(event: 'request', ...args: object[]): boolean } };
}

export function wireCacheables(
  config: RedisConfig,
  cache: CacheContract,
  { host, logger, clock }: { host: HttpHost; logger: { warn(message: string): void }; clock?: Clock },
): Cacheables {
  const warn = (message: string): void => logger.warn(message);
  const routes = new HttpAnswers({
    settings: config.httpCache,
    warn,
    clock,
    dispatch: (request, response) => {
      host.httpAdapter?.getHttpServer().emit('request', request, response);
    },
  });
  return new Cacheables({ cache, contexts: config.contexts, caches: config.caches, routes, warn });
}
