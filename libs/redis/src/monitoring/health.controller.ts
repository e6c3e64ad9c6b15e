/** `/live`, `/ready` and `/redis` below a path of the application's choosing. */
import { Controller, Get, Header, Inject, UseGuards, type CanActivate, type Type } from '@nestjs/common';
import { HEALTH_CHECKS, HEALTH_READINESS } from './health.tokens.js';
import { RedisHealthIndicator } from './redis.health.js';

/** As much of Terminus' `HealthCheckService` as is used here. */
interface HealthChecks {
  check(
    indicators: (() => Promise<Record<string, { status: 'up' | 'degraded' | 'down' }>>)[],
  ): Promise<unknown>;
}

export interface Readiness {
  /** Connections, or `'shards'`, without which this process is not ready. */
  readonly require: readonly string[];
}

export interface HealthRoutes {
  readonly path: string;
  /** In front of `/redis`, which names nodes; the other two tell a state and nothing else. */
  readonly guards: readonly (Type<CanActivate> | CanActivate)[];
}

/** A class of its own for every registration: a path is metadata of the class, and two would share it. */
export function createHealthController({ path, guards }: HealthRoutes): Type<object> {
  @Controller(path)
  class HealthController {
    constructor(
      @Inject(HEALTH_CHECKS) private readonly checks: HealthChecks,
      @Inject(RedisHealthIndicator) private readonly redis: RedisHealthIndicator,
      @Inject(HEALTH_READINESS) private readonly readiness: Readiness,
    ) {}

    /** The process answers. Redis is not asked: a restart of this process would not bring Redis back. */
    @Get('live')
    @Header('cache-control', 'no-store')
    live(): { status: 'ok' } {
      return { status: 'ok' };
    }

    @Get('ready')
    @Header('cache-control', 'no-store')
    ready(): Promise<unknown> {
      return this.checks.check([
        async () => {
          const { redis } = await this.redis.check('redis', this.readiness);
          return { redis: { status: redis.status } };
        },
      ]);
    }

    @Get('redis')
    @UseGuards(...guards)
    @Header('cache-control', 'no-store')
    details(): Promise<unknown> {
      return this.checks.check([async () => ({ ...(await this.redis.check('redis')) })]);
    }
  }
  return HealthController;
}
