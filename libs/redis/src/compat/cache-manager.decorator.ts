/** `@CacheKey` and `@CacheTTL`, as `CacheInterceptor` reads them. */
import { SetMetadata, type CustomDecorator, type ExecutionContext } from '@nestjs/common';

export const CACHE_KEY_METADATA = 'cache_module:cache_key';
export const CACHE_TTL_METADATA = 'cache_module:cache_ttl';

export type CacheKeyFactory = (context: ExecutionContext) => string | undefined | Promise<string | undefined>;
export type CacheTTLFactory = (context: ExecutionContext) => number | Promise<number>;

/** What an answer is kept under, in the place of its address. */
export function CacheKey(key: string | CacheKeyFactory): CustomDecorator {
  return SetMetadata(CACHE_KEY_METADATA, key);
}

/** How long an answer is kept, in milliseconds. */
export function CacheTTL(ttl: number | CacheTTLFactory): CustomDecorator {
  return SetMetadata(CACHE_TTL_METADATA, ttl);
}
