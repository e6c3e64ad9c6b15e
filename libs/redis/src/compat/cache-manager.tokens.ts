/** By what the cache is injected: the text that `@nestjs/cache-manager` uses too. */
export const CACHE_MANAGER = 'CACHE_MANAGER';
