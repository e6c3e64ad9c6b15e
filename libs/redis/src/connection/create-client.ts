/** The client for a topology: the one place that knows them all. */
import type { Clock } from '../core/index.js';
import { ClusterRouter } from './cluster.js';
import type { ResolvedConnection } from './connection.options.js';
import { createEmbeddedClient } from './embedded/embedded-client.js';
import { createNativeClient, type NativeRedis } from './native-client.js';
import { RedisAdapter } from './redis-adapter.js';
import type { RedisClient } from './redis-client.js';
import { ResilientClient } from './resilient-client.js';
import type { Router, RouterContext } from './router.js';
import { SentinelRouter } from './sentinel.js';
import { StandaloneRouter } from './standalone.js';

export interface ClientSurroundings {
  readonly clock?: Clock;
  readonly random?: () => number;
}

export function createClient(
  connection: ResolvedConnection,
  surroundings: ClientSurroundings = {},
): RedisClient {
  if (connection.topology === 'embedded') {
    return createEmbeddedClient({
      name: connection.name,
      timeoutMs: connection.timeoutMs,
      ...connection.embedded,
      ...(surroundings.clock === undefined ? {} : { clock: surroundings.clock }),
    });
  }
  return new ResilientClient({ connection, createRouter: routerFor(connection), ...surroundings });
}

export function createAdapter(
  connection: ResolvedConnection,
  surroundings: ClientSurroundings = {},
): RedisAdapter<NativeRedis> {
  return new RedisAdapter(createClient(connection, surroundings), {
    defaultTtlMs: connection.defaultTtlMs,
    native: createNativeClient(connection),
  });
}

function routerFor(connection: ResolvedConnection): (context: RouterContext) => Router {
  if (connection.topology === 'cluster') return (context) => new ClusterRouter(context);
  if (connection.topology === 'sentinel') return (context) => new SentinelRouter(context);
  return (context) => new StandaloneRouter(context);
}
