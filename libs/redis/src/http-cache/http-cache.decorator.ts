/** How a route or a controller wants its answers kept when `CacheInterceptor` stands before it. */
import { SetMetadata } from '@nestjs/common';
import { loadOptionsOf, type CacheableOptions } from '../cache/index.js';

export const HTTP_CACHE = 'anbar:http-cache';

export type HttpCacheRoute = Omit<CacheableOptions<never>, 'key' | 'tags' | 'when' | 'unless'> & {
  tags?: readonly string[] | undefined;
};

/**
 * ```ts
 * @Controller('books') @UseInterceptors(CacheInterceptor) @HttpCache({ ttl: '5m', tags: ['books'] })
 * class Books { @Get('new') @HttpCache(false) newest() { … } }
 * ```
 * `false` opts out; on a method it counts before what the class says.
 */
export function HttpCache(options: HttpCacheRoute | false): MethodDecorator & ClassDecorator {
  // What can not be meant is refused here, where it stands, and not by the first request.
  if (options !== false) loadOptionsOf(options);
  return SetMetadata(HTTP_CACHE, options);
}
