/** All that one configuration gives, put together in one place: the same for Nest and without it. */
import type { CacheService, FallbackCache, ShardedCache } from './cache/index.js';
import { wireCache } from './cache-wiring.js';
import type { CleanupService } from './cleanup/index.js';
import { wireCleanup } from './cleanup-wiring.js';
import { createCodec, resolveCodec } from './codec/index.js';
import type { RedisConfig } from './config/index.js';
import { systemClock, type Clock } from './core/index.js';
import {
  ConnectionRegistry,
  type NativeRedis,
  type RedisAdapter,
  type RedisClient,
} from './connection/index.js';
import { healthParts } from './health-wiring.js';
import { LockService } from './lock/index.js';
import { wireMetrics } from './metrics-wiring.js';
import {
  HealthMonitor,
  traceWithOpenTelemetry,
  type RedisMetrics,
  type StatsService,
  type Tracing,
} from './monitoring/index.js';
import { PubSub } from './pubsub/index.js';
import { RateLimiter } from './rate-limit/index.js';
import { SessionService } from './session/index.js';
import { wireStats } from './stats-wiring.js';
import type { Surroundings } from './surroundings.js';
import { createTaskQueue, type TaskQueue } from './tasks/index.js';

/** BullMQ takes several steps for one call. */
const STEPS_OF_A_TASK_CALL = 4;

export class Engines {
  readonly config: RedisConfig;
  readonly clock: Clock;
  readonly registry: ConnectionRegistry;
  readonly adapter: RedisAdapter<NativeRedis>;
  readonly cache: CacheService;
  readonly fallback: FallbackCache;
  readonly sharded: ShardedCache;
  readonly limiter: RateLimiter;
  readonly sessions: SessionService;
  readonly locks: LockService;
  readonly pubsub: PubSub;
  readonly tasks: TaskQueue;
  readonly health: HealthMonitor;
  readonly cleanup: CleanupService;
  readonly stats: StatsService;
  readonly metrics: RedisMetrics;
  readonly #tracing: Tracing | undefined;
  readonly #closeCaches: () => Promise<void>;

  constructor(config: RedisConfig, surroundings: Surroundings = {}) {
    const { namespace, codec } = config;
    const { clock } = surroundings;
    const time = clock && { clock };
    this.config = config;
    this.clock = clock ?? systemClock;
    const connections = [config.defaultConnection, ...config.connections.values()];
    this.registry = new ConnectionRegistry(connections, surroundings);
    this.adapter = this.registry.get();
    const client = this.adapter.port;
    const wired = wireCache(config, this.adapter, surroundings);
    this.cache = wired.cache;
    this.fallback = wired.fallback;
    this.sharded = wired.sharded;
    this.#closeCaches = () => wired.close();
    this.limiter = new RateLimiter({ client, namespace, clock }, config.rateLimit);
    this.sessions = new SessionService({
      client,
      namespace,
      codec: createCodec(codec, clock),
      settings: config.session,
      clock,
    });
    this.locks = new LockService({ client, namespace, ...time }, config.lock);
    this.pubsub = new PubSub({ client, namespace, codec, ...time }, config.pubsub);
    this.tasks = taskQueueOf(config, client, surroundings);
    const { sharded, locks } = this;
    this.cleanup = wireCleanup(config, { client, standby: wired.standby, sharded, locks, clock });
    this.health = new HealthMonitor({
      clients: this.registry.names.map((name) => this.registry.get(name).port),
      namespace,
      parts: healthParts(config, wired),
      settings: config.health,
      clock,
    });
    this.stats = wireStats(this, wired.near);
    this.#tracing = config.tracing ? traceWithOpenTelemetry() : undefined;
    this.metrics = wireMetrics(this);
  }

  /** Waits for every connection and every shard. */
  async connect(): Promise<void> {
    await this.#tracing?.ready;
    await Promise.all([this.registry.connect(), this.#hasShards ? this.sharded.connect() : undefined]);
  }

  /** For the boot of an application: waits for those that are `'required'`; the others are made meanwhile. */
  async open(): Promise<void> {
    await this.#tracing?.ready;
    await Promise.all([this.registry.open(), this.#openShards()]);
  }

  /** What uses a connection before the connections, and what uses another capability before that one. */
  async close(): Promise<void> {
    try {
      // A task under way may use all the others.
      await this.tasks.close();
    } finally {
      await this.#closeOthers();
    }
  }

  async #closeOthers(): Promise<void> {
    this.health.close();
    await this.cleanup.close();
    this.metrics.close();
    await Promise.all([this.limiter.close(), this.pubsub.disconnect(), this.locks.disconnect()]);
    await this.#closeCaches();
    await this.registry.disconnect();
    this.#tracing?.close();
  }

  get #hasShards(): boolean {
    return this.config.shards.size > 0;
  }

  async #openShards(): Promise<void> {
    if (!this.#hasShards) return;
    const connecting = this.sharded.connect();
    const shards = [...this.config.shards.values()];
    if (shards.some(({ connection }) => connection.connect === 'required')) await connecting;
    else connecting.catch(() => undefined);
  }
}

function taskQueueOf(
  { defaultConnection, namespace, codec, tasks }: RedisConfig,
  client: RedisClient,
  { clock, wrap }: Surroundings,
): TaskQueue {
  const sealed = resolveCodec(codec).encryption !== false;
  return createTaskQueue({
    connection: defaultConnection,
    namespace,
    settings: tasks,
    codec: sealed ? createCodec(codec, clock) : undefined,
    clock,
    // The queue in this process asks no client, so what makes the client fail would not reach it.
    gate: wrap && client,
    timeoutMs: defaultConnection.timeoutMs * STEPS_OF_A_TASK_CALL,
  });
}
