/** The console, for applications that import it; nothing of it runs otherwise. */
import {
  Inject,
  Module,
  type CanActivate,
  type DynamicModule,
  type ModuleMetadata,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type Type,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { createConsoleController, routeFolder } from './console.controller.js';
import { assertGuarded, resolveConsole, type ConsoleOptions } from './console.options.js';
import type { ConsoleSource } from './console.source.js';
import { CONSOLE_SOURCE } from './console.tokens.js';
import { RedisConsole } from './redis-console.js';

export interface RedisConsoleModuleOptions extends ConsoleOptions {
  /** In front of every route of the console, its files included. @default none */
  readonly guards?: readonly (Type<CanActivate> | CanActivate)[] | undefined;
  /** Modules whose providers the guards need. @default none */
  readonly imports?: ModuleMetadata['imports'];
}

@Module({})
export class RedisConsoleModule implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #console: RedisConsole;

  constructor(@Inject(RedisConsole) redisConsole: RedisConsole) {
    this.#console = redisConsole;
  }

  /**
   * ```ts
   * @Module({ imports: [RedisModule.forRoot(), RedisConsoleModule.forRoot({ guards: [AdminGuard] })] })
   * ```
   * Then `/redis-console/` is the page. See docs/console.md.
   */
  static forRoot({ guards = [], imports = [], ...options }: RedisConsoleModuleOptions = {}): DynamicModule {
    const guarded = guards.length > 0;
    const settings = resolveConsole(options, guarded);
    const controller = createConsoleController({ path: settings.path, guards });
    return {
      module: RedisConsoleModule,
      imports: [...imports],
      controllers: [controller],
      providers: [
        {
          provide: RedisConsole,
          inject: [CONSOLE_SOURCE, HttpAdapterHost],
          useFactory: (source: ConsoleSource, { httpAdapter }: Partial<HttpAdapterHost>) => {
            if (httpAdapter?.getType() === 'fastify') routeFolder(controller);
            assertGuarded(settings, guarded, source.production);
            return new RedisConsole({ source, settings });
          },
        },
      ],
    };
  }

  onApplicationBootstrap(): void {
    this.#console.start();
  }

  /** The first thing at a shutdown: an open stream would hold up the end of the server. */
  onModuleDestroy(): void {
    this.#console.close();
  }
}
