/**
 * Reads of one named cache on the shards: which shard answers for a key, and whether that has changed since the
 * question was sent.
 */
import type { Key } from '../../connection/index.js';
import { logicalKey } from '../cache.keys.js';
import type { CacheService } from '../cache-service.js';
import type { ShardFleet } from './shard-fleet.js';
import { slotOf } from './slot-table.js';

export class ShardedReads {
  readonly #fleet: ShardFleet;
  readonly #name: string;

  constructor(fleet: ShardFleet, name: string) {
    this.#fleet = fleet;
    this.#name = name;
  }

  /** From whoever answers for the key when the question is sent. */
  once<T>(key: Key, read: (cache: CacheService) => Promise<T>): Promise<T> {
    try {
      const slot = slotOf(logicalKey(key));
      if (!this.#fleet.isBeginning) return read(this.#fleet.readerOf(slot, this.#name));
      const ready = this.#fleet.begun().catch(() => undefined);
      return ready.then(() => read(this.#fleet.readerOf(slot, this.#name)));
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Also for counters and hashes; what is not there is looked for again if its owner has changed meanwhile. */
  async steadily<T>(key: Key, read: (cache: CacheService) => Promise<T>, absent: T): Promise<T> {
    for (;;) {
      const view = this.#fleet.membership.lastView;
      await this.#whole(key);
      const answer = await this.once(key, read);
      if (answer !== absent || view === undefined || this.#fleet.membership.lastView === view) return answer;
    }
  }

  /** Before a hash or a counter is read. */
  async #whole(key: Key): Promise<void> {
    const { view } = this.#fleet.membership;
    if (view?.stage !== 'moving') return;
    const logical = logicalKey(key);
    const { gaining } = view.routeOf(slotOf(logical));
    const shard = gaining === undefined ? undefined : this.#fleet.shards.get(gaining);
    if (shard === undefined) return;
    const ensuring = this.#fleet.underWay.guard(view.epoch, () => shard.take(this.#name, logical));
    await ensuring.catch(() => undefined);
  }
}
