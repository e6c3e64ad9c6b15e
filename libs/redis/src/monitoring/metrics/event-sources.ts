/** What is heard of without knowing who tells it: events, and the state of connections. */
import type { RedisClient } from '../../connection/index.js';
import { cacheSource, loaderSource, nearCacheSource } from './cache-feed.js';
import { cleanupSource } from './cleanup-feed.js';
import { breakerSource, commandSource, connectionSource } from './connection-feed.js';
import type { MetricSource } from './metric-source.js';
import {
  httpSource,
  lockSource,
  pubsubSource,
  rateLimitSource,
  sessionSource,
  taskSource,
} from './service-feed.js';

export function eventSources(clients: readonly RedisClient[]): readonly MetricSource[] {
  return [
    connectionSource(clients),
    commandSource(clients),
    breakerSource(clients),
    cacheSource(),
    loaderSource(),
    nearCacheSource(),
    rateLimitSource(),
    httpSource(),
    sessionSource(),
    lockSource(),
    pubsubSource(),
    taskSource(),
    cleanupSource(),
  ];
}
