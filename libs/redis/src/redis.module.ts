/** The composition root for Nest: options in, injectable connections out, opened at boot and closed at the end. */
import {
  ConfigurableModuleBuilder,
  Inject,
  Logger,
  Module,
  type DynamicModule,
  type OnApplicationShutdown,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { CacheService } from './cache/index.js';
import { wireCache, type WiredCache } from './cache-wiring.js';
import { InvalidConfigError, RedisConfig } from './config/index.js';
import { ConnectionRegistry } from './connection/index.js';
import { HealthMonitor, RedisHealthIndicator } from './monitoring/index.js';
import { reportConnections } from './connection-report.js';
import type { RedisModuleOptions } from './redis.options.js';
import { redisToken } from './redis.tokens.js';

/** The cache and what has to be closed with it. */
const WIRED_CACHE = Symbol('anbar:wired-cache');

/** What `useClass` and `useExisting` name. */
export interface RedisOptionsFactory {
  createRedisOptions(): RedisModuleOptions | Promise<RedisModuleOptions>;
}

interface ModuleExtras {
  /** Injectable everywhere without importing the module again. @default true */
  isGlobal?: boolean;
  /**
   * Names of the further connections the factory will return. Nest has to know them before it runs the factory;
   * with `forRoot` they are read from the options.
   */
  names?: readonly string[];
}

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<RedisModuleOptions>({ moduleName: 'Redis' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createRedisOptions')
    .setExtras<ModuleExtras>({ isGlobal: true, names: [] }, (definition, { isGlobal, names }) => {
      const providers = connectionProviders(names ?? []);
      return {
        ...definition,
        global: isGlobal ?? true,
        providers: [...(definition.providers ?? []), ...providers],
        exports: [
          CacheService,
          HealthMonitor,
          RedisHealthIndicator,
          RedisConfig,
          ConnectionRegistry,
          redisToken(),
          ...(names ?? []).map((name) => redisToken(name)),
        ],
      };
    })
    .build();

/** What `forRootAsync` takes: `useFactory`, `useClass` or `useExisting`, with `inject` and `imports`. */
export type RedisModuleAsyncOptions = typeof ASYNC_OPTIONS_TYPE;

@Module({})
export class RedisModule extends ConfigurableModuleClass implements OnModuleInit, OnApplicationShutdown {
  readonly #config: RedisConfig;
  readonly #registry: ConnectionRegistry;
  readonly #wired: WiredCache;
  #stopReporting: () => void = () => undefined;

  constructor(
    @Inject(RedisConfig) config: RedisConfig,
    @Inject(ConnectionRegistry) registry: ConnectionRegistry,
    @Inject(WIRED_CACHE) wired: WiredCache,
  ) {
    super();
    this.#config = config;
    this.#registry = registry;
    this.#wired = wired;
  }

  /**
   * ```ts
   * @Module({ imports: [RedisModule.forRoot()] })
   * ```
   * Without options it reads the environment, and without `REDIS_URL` there it runs embedded.
   */
  static override forRoot(options: RedisModuleOptions & { isGlobal?: boolean } = {}): DynamicModule {
    return super.forRoot({ ...options, names: Object.keys(options.connections ?? {}) });
  }

  static override forRootAsync(options: RedisModuleAsyncOptions): DynamicModule {
    const ways = [options.useFactory, options.useClass, options.useExisting];
    if (ways.filter((way) => way !== undefined).length !== 1) {
      throw new InvalidConfigError([
        {
          where: 'RedisModule.forRootAsync',
          problem: 'needs exactly one of useFactory, useClass and useExisting',
        },
      ]);
    }
    return super.forRootAsync(options);
  }

  async onModuleInit(): Promise<void> {
    this.#stopReporting = reportConnections(this.#config, this.#registry, new Logger('RedisModule'));
    await this.#registry.open();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopReporting();
    await this.#wired.close();
    await this.#registry.disconnect();
  }
}

function connectionProviders(names: readonly string[]): Provider[] {
  return [
    {
      provide: RedisConfig,
      inject: [MODULE_OPTIONS_TOKEN],
      useFactory: (options: unknown) => createConfig(options, names),
    },
    {
      provide: ConnectionRegistry,
      inject: [RedisConfig],
      useFactory: (config: RedisConfig) =>
        new ConnectionRegistry([config.defaultConnection, ...config.connections.values()]),
    },
    {
      provide: WIRED_CACHE,
      inject: [RedisConfig, ConnectionRegistry],
      useFactory: (config: RedisConfig, registry: ConnectionRegistry) => wireCache(config, registry.get()),
    },
    { provide: CacheService, inject: [WIRED_CACHE], useFactory: ({ cache }: WiredCache) => cache },
    {
      provide: HealthMonitor,
      inject: [RedisConfig, ConnectionRegistry],
      useFactory: (config: RedisConfig, registry: ConnectionRegistry) => watchHealth(config, registry),
    },
    RedisHealthIndicator,
    ...[undefined, ...names].map((name) => ({
      provide: redisToken(name),
      inject: [ConnectionRegistry],
      useFactory: (registry: ConnectionRegistry) => registry.get(name),
    })),
  ];
}

/** Over the connections that are open anyway. */
function watchHealth({ namespace, health }: RedisConfig, registry: ConnectionRegistry): HealthMonitor {
  const clients = registry.names.map((name) => registry.get(name).port);
  return new HealthMonitor({ clients, namespace, settings: health });
}

function createConfig(options: unknown, names: readonly string[]): RedisConfig {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidConfigError([
      {
        where: 'RedisModule.forRootAsync',
        problem: `the factory returned ${options === null ? 'null' : typeof options} instead of options`,
        hint: 'return an object; an empty one reads the environment',
      },
    ]);
  }
  const config = new RedisConfig(options);
  const returned = [...config.connections.keys()];
  const faults = [
    ...names
      .filter((name) => !returned.includes(name))
      .map((name) => ({ where: `names: '${name}'`, problem: 'the factory returned no such connection' })),
    ...returned
      .filter((name) => !names.includes(name))
      .map((name) => ({
        where: `connections.${name}`,
        problem: 'is not announced, so nobody could inject it',
        hint: `add it: RedisModule.forRootAsync({ names: ['${name}'], … })`,
      })),
  ];
  if (faults.length > 0) throw new InvalidConfigError(faults);
  return config;
}
