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
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
  /** Stands before the clients of connections: for tests that make calls fail. */
  readonly wrap?: ((client: RedisClient, connection: ResolvedConnection) => RedisClient) | undefined;
}

export function createClient(
  connection: ResolvedConnection,
  { clock, random, wrap }: ClientSurroundings = {},
): RedisClient {
  const given = { ...(clock && { clock }), ...(random && { random }) };
  const client =
    connection.topology === 'embedded'
      ? createEmbeddedClient({
          name: connection.name,
          timeoutMs: connection.timeoutMs,
          ...connection.embedded,
          ...given,
        })
      : new ResilientClient({ connection, createRouter: routerFor(connection), ...given });
  return wrap?.(client, connection) ?? client;
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
