/** Routes of this package in an application that caches all of its routes. */
import { APP_INTERCEPTOR } from '@nestjs/core';
import { register } from 'prom-client';
import { afterEach, expect, it } from 'vitest';
import { CacheInterceptor } from '@anbar/nestjs-redis';
import { RedisHealthModule, RedisMetricsModule, RedisStatsModule } from '@anbar/nestjs-redis/monitoring';
import { PLATFORMS, serve } from './http-boot.js';

// nestjs-prometheus knows one registry, that of the process.
afterEach(() => register.clear());

it.each(PLATFORMS)(
  'figures, health and stats are told as they are at each request, on %s',
  async (platform) => {
    const served = await serve(
      {
        imports: [
          RedisMetricsModule.forRoot({ process: false }),
          RedisStatsModule.forRoot(),
          RedisHealthModule.forRoot(),
        ],
        providers: [{ provide: APP_INTERCEPTOR, useClass: CacheInterceptor }],
      },
      { platform },
    );
    for (const path of ['/metrics', '/cache/stats', '/health/live', '/health/ready']) {
      for (let turn = 0; turn < 2; turn += 1) {
        const { status, headers } = await served.get(path);
        expect([path, status, headers.get('x-cache') === 'HIT']).toEqual([path, 200, false]);
      }
    }
  },
);
