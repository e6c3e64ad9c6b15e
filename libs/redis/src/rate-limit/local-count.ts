/**
 * Counting alone, while Redis is away: the same scripts' twins over a keyspace in this process. It begins with
 * nothing counted, and `replicas` says into how many parts a limit is divided meanwhile.
 */
import { createClient, resolveConnection, type RedisClient } from '../connection/index.js';
import type { Clock } from '../core/index.js';
import { itemsOf, keysOf, type AskedLimit } from './ask.js';
import { shareOf } from './limit.options.js';
import { takeScript, type TakeArgs, type TakeState } from './take.scripts.js';

/** Bounded whatever subjects turn up; the least recently used one is forgotten. */
const BOUNDS = { maxEntries: 50_000, maxBytes: 32 * 2 ** 20 } as const;

export class LocalCount {
  readonly #replicas: number;
  readonly #clock: Clock;
  #client: RedisClient | undefined;

  constructor(replicas: number, clock: Clock) {
    this.#replicas = replicas;
    this.#clock = clock;
  }

  get client(): RedisClient {
    this.#client ??= createClient(
      resolveConnection('rate-limit-local', { topology: 'embedded', embedded: BOUNDS }, []),
      { clock: this.#clock },
    );
    return this.#client;
  }

  async take(
    limits: readonly AskedLimit[],
    { mode, holder }: { mode: TakeArgs['mode']; holder: string },
  ): Promise<readonly TakeState[]> {
    const shares = limits.map((asked) => ({
      ...asked,
      limit: shareOf(asked.limit, this.#replicas, asked.cost),
    }));
    const args = { mode, items: itemsOf(shares, { holder }) };
    return (await this.client.run(takeScript, keysOf(shares), args)).states;
  }

  async close(): Promise<void> {
    await this.#client?.disconnect();
  }
}
