/** The composition root for Nest: options in, injectable connections out, opened at boot and closed at the end. */
import {
  ConfigurableModuleBuilder,
  Inject,
  Logger,
  Module,
  type DynamicModule,
  type InjectionToken,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { DiscoveryModule, HttpAdapterHost } from '@nestjs/core';
import { CacheableExplorer, Cacheables, CacheService, FallbackCache, ShardedCache } from './cache/index.js';
import { reportCache } from './cache-report.js';
import { wireCacheables } from './cacheables-wiring.js';
import { CleanupSchedule, CleanupService, logCleanup } from './cleanup/index.js';
import { InvalidConfigError, RedisConfig } from './config/index.js';
import { ConnectionRegistry } from './connection/index.js';
import { CONSOLE_SOURCE } from './console/index.js';
import { wireConsole } from './console-wiring.js';
import { CLOCK, NAMESPACE } from './core/index.js';
import { Engines } from './engines.js';
import { LockService } from './lock/index.js';
import {
  HealthMonitor,
  isLevelLogged,
  openLines,
  RedisHealthIndicator,
  RedisMetrics,
  StatsService,
  type LineLogger,
} from './monitoring/index.js';
import { reportConnections } from './connection-report.js';
import { OnMessageExplorer, PubSub } from './pubsub/index.js';
import { RateLimiter, RouteLimits } from './rate-limit/index.js';
import type { RedisModuleOptions } from './redis.options.js';
import { redisToken, SURROUNDINGS } from './redis.tokens.js';
import { TASK_QUEUE, TaskExplorer } from './tasks/index.js';
import { SessionService } from './session/index.js';
import { reportStates } from './state-report.js';
import type { Surroundings } from './surroundings.js';

/** What `useClass` and `useExisting` name. */
export interface RedisOptionsFactory {
  createRedisOptions(): RedisModuleOptions | Promise<RedisModuleOptions>;
}

/** Surroundings that have to hear that the application ends before anything in it begins to wait for its end. */
export interface ToldOfTheEnd {
  ending(): void;
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
      const providers = providersOf(names ?? []);
      return {
        ...definition,
        global: isGlobal ?? true,
        imports: [...(definition.imports ?? []), DiscoveryModule],
        providers: [...(definition.providers ?? []), ...providers],
        exports: [
          CacheService,
          Cacheables,
          FallbackCache,
          ShardedCache,
          RateLimiter,
          RouteLimits,
          SessionService,
          TASK_QUEUE,
          LockService,
          PubSub,
          CleanupService,
          HealthMonitor,
          RedisHealthIndicator,
          StatsService,
          RedisMetrics,
          CONSOLE_SOURCE,
          RedisConfig,
          ConnectionRegistry,
          CLOCK,
          NAMESPACE,
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
  readonly #engines: Engines;
  readonly #stopReports: (() => void)[] = [];

  constructor(@Inject(Engines) engines: Engines) {
    super();
    this.#engines = engines;
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
    const { config, registry } = this.#engines;
    this.#stopReports.push(
      reportConnections(config, registry, this.#lines('RedisModule')),
      reportStates(this.#engines, this.#lines('RedisModule')),
      reportCache(config, {
        ...this.#lines('RedisCache'),
        logs: isLevelLogged,
      }),
      logCleanup(new Logger('RedisCleanup')),
    );
    await this.#engines.open();
  }

  async onApplicationShutdown(): Promise<void> {
    for (const stop of this.#stopReports) stop();
    await this.#engines.close();
  }

  #lines(context: string): LineLogger {
    return openLines(context, this.#engines.config.logFields);
  }
}

function providersOf(names: readonly string[]): Provider[] {
  return [
    {
      provide: Engines,
      inject: [MODULE_OPTIONS_TOKEN, SURROUNDINGS],
      useFactory: (options: unknown, surroundings: Surroundings) =>
        new Engines(createConfig(options, names, surroundings), surroundings),
    },
    { provide: SURROUNDINGS, useValue: {} },
    from(RedisConfig, ({ config }) => config),
    from(ConnectionRegistry, ({ registry }) => registry),
    from(CLOCK, ({ clock }) => clock),
    from(NAMESPACE, ({ config }) => config.namespace),
    ...[undefined, ...names].map((name) => from(redisToken(name), ({ registry }) => registry.get(name))),
    from(CacheService, ({ cache }) => cache),
    from(FallbackCache, ({ fallback }) => fallback),
    from(ShardedCache, ({ sharded }) => sharded),
    from(RateLimiter, ({ limiter }) => limiter),
    from(SessionService, ({ sessions }) => sessions),
    from(LockService, ({ locks }) => locks),
    from(PubSub, ({ pubsub }) => pubsub),
    from(TASK_QUEUE, ({ tasks }) => tasks),
    from(CleanupService, ({ cleanup }) => cleanup),
    CleanupSchedule,
    from(HealthMonitor, ({ health }) => health),
    from(StatsService, ({ stats }) => stats),
    from(RedisMetrics, ({ metrics }) => metrics),
    from(CONSOLE_SOURCE, wireConsole),
    RedisHealthIndicator,
    {
      provide: Cacheables,
      inject: [Engines, HttpAdapterHost],
      useFactory: ({ config, cache, clock }: Engines, host: HttpAdapterHost) =>
        wireCacheables(config, cache, { host, logger: new Logger('RedisCache'), clock }),
    },
    from(RouteLimits, ({ limiter, config }) => {
      const logger = new Logger('RateLimit');
      return new RouteLimits(limiter, config.rateLimit, (message) => logger.warn(message));
    }),
    CacheableExplorer,
    OnMessageExplorer,
    TaskExplorer,
    {
      provide: END,
      // Nest tells those first that depend on others: so it stands above whoever lets work run out.
      inject: [SURROUNDINGS, CleanupSchedule, OnMessageExplorer, TaskExplorer],
      useFactory: (surroundings: Partial<ToldOfTheEnd>): OnModuleDestroy => ({
        onModuleDestroy: () => surroundings.ending?.(),
      }),
    },
  ];
}

const END = Symbol('anbar:end');

function from<T>(provide: InjectionToken<T>, pick: (engines: Engines) => T): Provider {
  return { provide, inject: [Engines], useFactory: pick };
}

function createConfig(
  options: unknown,
  names: readonly string[],
  { replaceOptions }: Surroundings,
): RedisConfig {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidConfigError([
      {
        where: 'RedisModule.forRootAsync',
        problem: `the factory returned ${options === null ? 'null' : typeof options} instead of options`,
        hint: 'return an object; an empty one reads the environment',
      },
    ]);
  }
  const config =
    replaceOptions === undefined ? new RedisConfig(options) : new RedisConfig(replaceOptions(options), {});
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
