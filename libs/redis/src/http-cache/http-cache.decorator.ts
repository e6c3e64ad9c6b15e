/** How a route or a controller wants its answers kept when `CacheInterceptor` stands before it. */
import { SetMetadata } from '@nestjs/common';
import type { CacheableOptions } from '../cache/index.js';

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
  return SetMetadata(HTTP_CACHE, options);
}
