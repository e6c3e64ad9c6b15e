/** One line for each change of what the application runs on: breakers, fallback, shards, limits without Redis. */
import type { FleetEvent } from './cache/index.js';
import type { RedisClient } from './connection/index.js';
import { onTelemetry } from './core/index.js';
import type { Engines } from './engines.js';
import type { LineLogger } from './monitoring/index.js';

type Watched = Pick<Engines, 'registry' | 'fallback' | 'sharded'>;
type Lines = Pick<LineLogger, 'log' | 'warn'>;

/** Connections and the near cache tell of themselves elsewhere. The function stops it. */
export function reportStates({ registry, fallback, sharded }: Watched, lines: Lines): () => void {
  const stops = [
    ...registry.names.map((name) => followBreakers(registry.get(name).port, lines)),
    followFallback(fallback, lines),
    sharded.onChange(shardReporter(lines)),
    followShardConnections(sharded, registry.names, lines),
    followLimits(lines),
  ];
  return () => stops.forEach((stop) => stop());
}

/** A lost node is told as lost, and its breakers open with it: that is one event and one line. */
function followBreakers(client: RedisClient, { log, warn }: Lines): () => void {
  const { name } = client;
  const [lost, open] = [new Set<string>(), new Set<string>()];
  const isConnected = (wanted: string): boolean =>
    !lost.has(wanted) &&
    client.status().nodes.some(({ node, state }) => node === wanted && state === 'ready');
  const stops = [
    client.on('lost', ({ node }) => lost.add(node)),
    client.on('ready', ({ node }) => lost.delete(node)),
    client.on('breaker', ({ node, kind, to }) => {
      const fields = { event: 'breaker', connection: name, node, kind, state: to };
      const breaker = `${node}\n${kind}`;
      if ((to === 'open' || to === 'isolated') && isConnected(node) && !open.has(breaker)) {
        open.add(breaker);
        warn(`'${name}' refuses ${kind} at ${node} for a while: too many of them failed`, fields);
      } else if (to === 'closed' && open.delete(breaker)) {
        log(`'${name}' lets ${kind} through to ${node} again`, fields);
      }
    }),
  ];
  return () => stops.forEach((stop) => stop());
}

/** Ways back that come to nothing are part of the same absence. */
function followFallback(fallback: Engines['fallback'], { log, warn }: Lines): () => void {
  let isAway = false;
  return fallback.onStateChange(({ to, reason }) => {
    if (to === 'fallback' && !isAway) {
      isAway = true;
      warn(`FallbackCache answers from this process: ${reason}`, { event: 'fallback', state: to, reason });
    } else if (to === 'redis' && isAway) {
      isAway = false;
      log('FallbackCache answers from Redis again', { event: 'fallback', state: to });
    }
  });
}

function shardReporter({ log, warn }: Lines): (event: FleetEvent) => void {
  const stages = new Map<string, string>();
  return (event) => {
    if (event.name === 'topology') return;
    const { shard } = event;
    if (event.name === 'warning') {
      warn(`shard '${shard}': ${event.text}`, { event: 'shard.warning', shard });
      return;
    }
    if (event.name !== 'move') {
      const fields = { event: 'shard', shard, state: event.name };
      if (event.name === 'out') warn(`shard '${shard}' is away: its share is loaded and not kept`, fields);
      else if (event.name === 'returning') log(`shard '${shard}' answers again, and begins anew`, fields);
      else log(`shard '${shard}' serves`, fields);
      return;
    }
    const { stage, moved } = event;
    if (stages.get(shard) === stage) return;
    stages.set(shard, stage);
    log(`shard '${shard}' changes owners of slots: ${stage}, ${moved} keys moved from here`, {
      event: 'shard.move',
      shard,
      stage,
      moved,
    });
  };
}

/** Shards have connections of their own, which nobody else tells of. */
function followShardConnections(
  sharded: Engines['sharded'],
  connections: readonly string[],
  { log, warn }: Lines,
): () => void {
  const lost = new Set<string>();
  return onTelemetry('connection', ({ name, subject: shard, outcome = '', attributes }) => {
    if (name !== 'connection.lost' && name !== 'connection.ready') return;
    if (connections.includes(shard) || !Object.hasOwn(sharded.status().shards, shard)) return;
    const node = String(attributes?.['node'] ?? '');
    const state = name === 'connection.lost' ? 'lost' : 'ready';
    const fields = { event: 'shard.connection', shard, node, state };
    if (state === 'lost' && !lost.has(shard)) {
      lost.add(shard);
      warn(`shard '${shard}' lost ${node}: ${outcome}. It is tried again until it answers.`, fields);
    } else if (state === 'ready' && lost.delete(shard)) {
      log(`shard '${shard}' is connected to ${node} again`, fields);
    }
  });
}

function followLimits({ log, warn }: Lines): () => void {
  return onTelemetry('rate-limit-changes', ({ name, outcome, durationMs = 0, attributes }) => {
    if (name !== 'rate-limit.store') return;
    if (outcome === 'lost') {
      const reason = String(attributes?.['reason'] ?? '');
      warn(`limits are kept without Redis (${reason}), each as its \`onStoreError\` says`, {
        event: 'limits',
        state: 'lost',
        reason,
      });
    } else {
      const allowed = Number(attributes?.['allowedWithoutStore'] ?? 0);
      const seconds = (durationMs / 1_000).toFixed(1);
      log(`limits are kept in Redis again, after ${seconds} s in which ${allowed} calls were let through`, {
        event: 'limits',
        state: 'back',
        durationMs: Math.round(durationMs),
        allowed,
      });
    }
  });
}
