/** The health routes, for applications that have none of their own. */
import { Module, type CanActivate, type DynamicModule, type Type } from '@nestjs/common';
import { optionalPeer } from '../core/index.js';
import { createHealthController, type Readiness } from './health.controller.js';
import { HEALTH_CHECKS, HEALTH_READINESS } from './health.tokens.js';

export interface RedisHealthModuleOptions {
  /** Where the routes lie. @default 'health' */
  readonly path?: string | undefined;
  /**
   * Connections without which `/ready` answers 503, and `'shards'` for all those of `ShardedCache`. An application that only caches, limits and locks can serve
   * without Redis, and an outage that makes every replica unready takes the site down.
   * @default []
   */
  readonly require?: readonly string[] | undefined;
  /** In front of `/redis`, whose answer names nodes and reasons. @default none */
  readonly guards?: readonly (Type<CanActivate> | CanActivate)[] | undefined;
}

@Module({})
export class RedisHealthModule {
  /**
   * ```ts
   * @Module({ imports: [RedisModule.forRoot(), RedisHealthModule.forRoot()] })
   * ```
   * Needs `@nestjs/terminus`.
   */
  static async forRoot(options: RedisHealthModuleOptions = {}): Promise<DynamicModule> {
    const { HealthCheckService, TerminusModule } = await optionalPeer(
      '@nestjs/terminus',
      'RedisHealthModule',
      () => import('@nestjs/terminus'),
    );
    const readiness: Readiness = { require: options.require ?? [] };
    return {
      module: RedisHealthModule,
      imports: [TerminusModule.forRoot({ errorLogStyle: 'json', logger: false })],
      controllers: [createHealthController({ path: options.path ?? 'health', guards: options.guards ?? [] })],
      providers: [
        { provide: HEALTH_READINESS, useValue: readiness },
        { provide: HEALTH_CHECKS, inject: [HealthCheckService], useFactory: (checks: unknown) => checks },
      ],
    };
  }
}
