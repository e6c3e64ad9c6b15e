/** `ThrottlerStorage` for `@nestjs/throttler`: counted in Redis for all processes together, and in this one without it. */
import { createClient, resolveConnection, type RedisClient } from '../connection/index.js';
import { isRedisModuleError, systemClock, type Clock } from '../core/index.js';
import { CompatError } from './compat.errors.js';
import { ThrottlerKeys, type RecordKeys } from './throttler.keys.js';
import { hitScript, type Hit, type HitArgs } from './throttler.scripts.js';

/** What the guard of `@nestjs/throttler` reads; times in seconds. */
export interface ThrottlerStorageRecord {
  totalHits: number;
  timeToExpire: number;
  isBlocked: boolean;
  timeToBlockExpire: number;
}

export interface ThrottlerStorage {
  increment(
    key: string,
    ttl: number,
    limit: number,
    blockDuration: number,
    throttlerName: string,
  ): Promise<ThrottlerStorageRecord>;
}

export interface ThrottlerStorageParts {
  readonly client: RedisClient;
  /** First segment of every key. */
  readonly namespace: string;
  readonly clock?: Clock | undefined;
}

export interface ThrottlerStorageOptions {
  /**
   * While Redis is away: `'local'` counts in this process, `'open'` lets through, `'closed'` fails the request.
   * @default 'local'
   */
  onStoreError?: 'local' | 'open' | 'closed' | undefined;
}

/** Bounded whatever keys turn up; the least recently used one is forgotten. */
const BOUNDS = { maxEntries: 50_000, maxBytes: 32 * 2 ** 20 } as const;

export class RedisThrottlerStorage implements ThrottlerStorage {
  readonly #client: RedisClient;
  readonly #clock: Clock;
  readonly #keys: ThrottlerKeys;
  readonly #onStoreError: 'local' | 'open' | 'closed';
  #local: RedisClient | undefined;

  constructor(parts: ThrottlerStorageParts, options: ThrottlerStorageOptions = {}) {
    this.#client = parts.client;
    this.#clock = parts.clock ?? systemClock;
    this.#keys = new ThrottlerKeys(parts.namespace);
    this.#onStoreError = options.onStoreError ?? 'local';
  }

  /** `ttl` and `blockDuration` in milliseconds. */
  // The signature is that of the interface.
  // oxlint-disable-next-line max-params
  async increment(
    key: string,
    ttl: number,
    limit: number,
    blockDuration: number,
    throttlerName: string,
  ): Promise<ThrottlerStorageRecord> {
    const args: HitArgs = {
      ttlMs: Math.max(1, wholeOf('ttl', ttl)),
      limit: wholeOf('limit', limit),
      blockMs: wholeOf('blockDuration', blockDuration),
    };
    const hit = await this.#hit(this.#keys.of(key, throttlerName), args);
    return {
      totalHits: hit.totalHits,
      timeToExpire: Math.ceil(hit.expireMs / 1_000),
      isBlocked: hit.blocked,
      timeToBlockExpire: Math.ceil(hit.blockMs / 1_000),
    };
  }

  /** Called by Nest when it is a provider; the connection stays with its owner. */
  async onApplicationShutdown(): Promise<void> {
    await this.#local?.disconnect();
  }

  async #hit(keys: RecordKeys, args: HitArgs): Promise<Hit> {
    try {
      return await this.#client.run(hitScript, keys, args);
    } catch (error) {
      if (!isRedisModuleError(error) || this.#onStoreError === 'closed') throw error;
      if (this.#onStoreError === 'open') {
        return { totalHits: 1, expireMs: args.ttlMs, blocked: false, blockMs: 0 };
      }
      return this.#inProcess().run(hitScript, keys, args);
    }
  }

  #inProcess(): RedisClient {
    this.#local ??= createClient(
      resolveConnection('throttler-local', { topology: 'embedded', embedded: BOUNDS }, []),
      { clock: this.#clock },
    );
    return this.#local;
  }
}

function wholeOf(what: string, value: number): number {
  if (Number.isFinite(value)) return Math.max(0, Math.ceil(value));
  throw new CompatError(`throttler: ${what} is ${String(value)} and no number`);
}
