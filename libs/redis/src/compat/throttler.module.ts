/** `ThrottlerModule` as `@nestjs/throttler` has it, counting in Redis; and its storage alone, for who keeps that package. */
import {
  Module,
  type DynamicModule,
  type ExecutionContext,
  type InjectionToken,
  type ModuleMetadata,
  type OptionalFactoryDependency,
  type Provider,
  type Type,
} from '@nestjs/common';
import { RedisAdapter } from '../connection/index.js';
import { CLOCK, NAMESPACE, type Clock } from '../core/index.js';
import {
  RedisThrottlerStorage,
  type ThrottlerStorage,
  type ThrottlerStorageOptions,
} from './throttler-storage.js';
import { THROTTLER_OPTIONS, THROTTLER_STORAGE } from './throttler.decorator.js';
import { settingsOf, type ThrottlerModuleOptions } from './throttler.options.js';

type Options = ThrottlerModuleOptions<ExecutionContext>;

export interface ThrottlerOptionsFactory {
  createThrottlerOptions(): Options | Promise<Options>;
}

export interface ThrottlerAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  useExisting?: Type<ThrottlerOptionsFactory>;
  useClass?: Type<ThrottlerOptionsFactory>;
  useFactory?: (...args: never[]) => Options | Promise<Options>;
  inject?: (InjectionToken | OptionalFactoryDependency)[];
}

@Module({})
export class ThrottlerStorageModule {
  /**
   * Provides `RedisThrottlerStorage` for `ThrottlerModule.forRootAsync({ inject: [RedisThrottlerStorage], … })` of
   * `@nestjs/throttler`.
   */
  static register(options: ThrottlerStorageOptions = {}): DynamicModule {
    return {
      module: ThrottlerStorageModule,
      providers: [
        {
          provide: RedisThrottlerStorage,
          inject: [RedisAdapter, NAMESPACE, CLOCK],
          useFactory: ({ port }: RedisAdapter, namespace: string, clock: Clock) =>
            new RedisThrottlerStorage({ client: port, namespace, clock }, options),
        },
      ],
      exports: [RedisThrottlerStorage],
    };
  }
}

@Module({})
export class ThrottlerModule {
  static forRoot(options: Options = []): DynamicModule {
    return moduleOf([{ provide: THROTTLER_OPTIONS, useValue: options }]);
  }

  static forRootAsync(options: ThrottlerAsyncOptions): DynamicModule {
    return moduleOf(providersOf(options), options.imports);
  }
}

function moduleOf(providers: Provider[], imports: ModuleMetadata['imports'] = []): DynamicModule {
  const storage: Provider = {
    provide: THROTTLER_STORAGE,
    inject: [THROTTLER_OPTIONS, RedisThrottlerStorage],
    useFactory: (options: Options, own: RedisThrottlerStorage): ThrottlerStorage =>
      settingsOf(options).storage ?? own,
  };
  return {
    module: ThrottlerModule,
    global: true,
    imports: [...imports, ThrottlerStorageModule.register()],
    providers: [...providers, storage],
    exports: [THROTTLER_OPTIONS, THROTTLER_STORAGE],
  };
}

function providersOf({ useFactory, useClass, useExisting, inject = [] }: ThrottlerAsyncOptions): Provider[] {
  if (useFactory !== undefined) return [{ provide: THROTTLER_OPTIONS, useFactory, inject }];
  const factory = useExisting ?? useClass;
  if (factory === undefined) return [{ provide: THROTTLER_OPTIONS, useValue: [] }];
  return [
    ...(useClass === undefined ? [] : [useClass]),
    {
      provide: THROTTLER_OPTIONS,
      inject: [factory],
      useFactory: (made: ThrottlerOptionsFactory) => made.createThrottlerOptions(),
    },
  ];
}
