/** `CacheModule` as `@nestjs/cache-manager` has it. The connection is that of `RedisModule`, which has to be imported. */
import {
  ConfigurableModuleBuilder,
  Module,
  type ConfigurableModuleAsyncOptions,
  type DynamicModule,
  type Provider,
} from '@nestjs/common';
import { CacheService } from '../cache/index.js';
import { CLOCK, type Clock } from '../core/index.js';
import { Cache, type CacheManagerOptions } from './cache-manager.js';
import { CACHE_MANAGER } from './cache-manager.tokens.js';
import { CompatError } from './compat.errors.js';

export interface CacheModuleOptions extends CacheManagerOptions {
  /** @default false */
  isGlobal?: boolean;
}

export interface CacheOptionsFactory {
  createCacheOptions(): CacheManagerOptions | Promise<CacheManagerOptions>;
}

export interface CacheModuleAsyncOptions extends ConfigurableModuleAsyncOptions<
  CacheManagerOptions,
  keyof CacheOptionsFactory
> {
  isGlobal?: boolean;
  extraProviders?: Provider[];
}

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<CacheManagerOptions>({
  moduleName: 'CacheManager',
})
  .setFactoryMethodName('createCacheOptions')
  .build();

@Module({
  providers: [
    {
      provide: CACHE_MANAGER,
      inject: [CacheService, MODULE_OPTIONS_TOKEN, CLOCK],
      useFactory: (cache: CacheService, options: CacheManagerOptions, clock: Clock) =>
        new Cache(cache, checked(options), clock),
    },
    { provide: Cache, useExisting: CACHE_MANAGER },
  ],
  exports: [CACHE_MANAGER, Cache],
})
export class CacheModule extends ConfigurableModuleClass {
  static override register({ isGlobal = false, ...options }: CacheModuleOptions = {}): DynamicModule {
    return { ...super.register(options), global: isGlobal };
  }

  static override registerAsync(options: CacheModuleAsyncOptions): DynamicModule {
    const { isGlobal = false, extraProviders = [], ...rest } = options;
    const definition = super.registerAsync(rest);
    return {
      ...definition,
      global: isGlobal,
      providers: [...(definition.providers ?? []), ...extraProviders],
    };
  }
}

/** Two things that would silently mean something else. */
function checked(options: CacheManagerOptions): CacheManagerOptions {
  for (const name of ['stores', 'store']) {
    if (Reflect.get(options, name) === undefined) continue;
    throw new CompatError(`CacheModule: '${name}' has no meaning here`, {
      hint: 'the store is the connection of RedisModule: give the address to RedisModule.forRoot and leave it out',
    });
  }
  return options;
}
