/** The indicator for Terminus. Its answer is what Terminus reads, so Terminus need not be installed for it. */
import { Inject, Injectable } from '@nestjs/common';
import { HealthMonitor, type HealthReport, type HealthState } from './health.js';

export interface RedisHealthDetails {
  readonly status: HealthState;
  readonly connections: HealthReport['connections'];
  readonly parts: HealthReport['parts'];
}

export interface RedisHealthOptions {
  /**
   * Connections without which the application can not serve, and `'shards'` for those of `ShardedCache`. Those that are
   * away are `down`; any other one that is away is `degraded`, as caches and limits go on without it.
   * @default all of them
   */
  readonly require?: readonly string[] | undefined;
}

@Injectable()
export class RedisHealthIndicator {
  readonly #monitor: HealthMonitor;

  constructor(@Inject(HealthMonitor) monitor: HealthMonitor) {
    this.#monitor = monitor;
  }

  /**
   * ```ts
   * health.check([() => redis.check('redis')])
   * ```
   * Never rejects and never takes longer than `health.timeout`.
   */
  async check<const Name extends string = 'redis'>(
    name: Name = 'redis' as Name,
    options: RedisHealthOptions = {},
  ): Promise<Record<Name, RedisHealthDetails>> {
    const { state, connections, parts } = await this.#monitor.check();
    const { require } = options;
    const missing =
      require === undefined
        ? state === 'down'
        : require.some((wanted) => ((connections[wanted] ?? parts[wanted])?.state ?? 'down') === 'down');
    const status: HealthState = missing ? 'down' : state === 'down' ? 'degraded' : state;
    return { [name]: { status, connections, parts } } as Record<Name, RedisHealthDetails>;
  }
}
