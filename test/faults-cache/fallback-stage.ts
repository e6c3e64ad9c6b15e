/** One server behind a proxy, a cache with a fallback in front of it, and eyes that look past both. */
import { createRedis, type FallbackOptions, type Redis } from '@anbar/nestjs-redis';
import { CacheService, type FallbackCache } from '@anbar/nestjs-redis/cache';
import {
  startFaultProxy,
  startStandalone,
  until,
  type FaultProxy,
  type Standalone,
} from '../topology/index.js';

export const DEADLINE_MS = 200;

export interface StageOptions {
  readonly fallback?: FallbackOptions;
  readonly l1?: false;
}

export class FallbackStage {
  readonly server: Standalone;
  readonly proxy: FaultProxy;
  readonly redis: Redis;
  /** Another process, past the proxy: what it sees is what Redis holds. */
  readonly others: CacheService;
  readonly #outside: Redis;

  private constructor(server: Standalone, proxy: FaultProxy, { fallback, l1 }: StageOptions) {
    this.server = server;
    this.proxy = proxy;
    this.redis = createRedis(
      {
        host: proxy.host,
        port: proxy.port,
        timeout: `${DEADLINE_MS}ms`,
        breaker: { openFor: '50ms', maxOpenFor: '500ms' },
        cache: { jitter: 0, earlyRefresh: false, ...(l1 === undefined ? {} : { l1 }) },
        ...(fallback === undefined ? {} : { fallback }),
      },
      {},
    );
    const { host, port } = server;
    this.#outside = createRedis({ host, port, timeout: '5s', breaker: false }, {});
    const client = this.#outside.adapter.port;
    this.others = new CacheService({ client, namespace: 'app' }, { jitter: 0, strict: true });
  }

  /** The server survives a kill with all it has acknowledged. */
  static async open(options: StageOptions = {}): Promise<FallbackStage> {
    const server = await startStandalone({ keepData: true });
    const proxy = await startFaultProxy({ to: server });
    const stage = new FallbackStage(server, proxy, options);
    await stage.redis.connect();
    return stage;
  }

  get cache(): FallbackCache {
    return this.redis.fallback;
  }

  /** Redis is in charge and was told of everything. */
  async back(): Promise<void> {
    const { cache } = this;
    await until(() => cache.state.mode === 'redis' && cache.state.journal === 0, {
      what: `the return of Redis (${JSON.stringify(cache.state)})`,
      every: 2,
    });
    await until(() => this.#outside.adapter.ping(), { what: 'the eyes of others', every: 2 });
  }

  async close(): Promise<void> {
    await this.server.process.thaw();
    await this.proxy.pass();
    await this.redis.disconnect();
    await this.others.disconnect();
    await this.#outside.disconnect();
    await this.proxy.stop();
    await this.server.stop();
  }
}
