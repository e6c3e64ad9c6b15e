/**
 * Writes of one named cache to the shards: at the owner of a key, and away from whoever else might have it; while
 * its slot changes owners, when that may be said to hold.
 */
import type { Key } from '../../connection/index.js';
import { logicalKey } from '../cache.keys.js';
import type { CacheService } from '../cache-service.js';
import type { ShardFleet } from './shard-fleet.js';
import type { View } from './shard-topology.js';
import { ShardUnavailableError } from './sharded.errors.js';
import { slotOf } from './slot-table.js';

const HANDOVER_POLL_MS = 2;
const HANDOVER_MS = 250;
/** A handover that begins while a value is stored undoes it: it is stored once more, after it. */
const SET_ATTEMPTS = 2;

export class ShardedWrites {
  readonly #fleet: ShardFleet;
  readonly #name: string;

  constructor(fleet: ShardFleet, name: string) {
    this.#fleet = fleet;
    this.#name = name;
  }

  /** @returns whether it was stored: not while the shard of the key is away */
  async store(key: Key, store: (cache: CacheService) => Promise<boolean>): Promise<boolean> {
    const slot = slotOf(logicalKey(key));
    for (let attempt = 0; attempt < SET_ATTEMPTS; attempt += 1) {
      const isOpen = await this.#afterHandover(slot);
      const { owner, result, isUndone } = await this.#changing(slot, store, async (cache) =>
        cache.delete(key),
      );
      if (owner !== undefined) return result === true;
      if (!isOpen || !isUndone) return false;
    }
    return false;
  }

  /** @returns whether there was something to remove */
  async remove(key: Key, options: { signal?: AbortSignal }): Promise<boolean> {
    const slot = slotOf(logicalKey(key));
    const results = await this.#fleet.holders.everywhere(
      (view) => holdersOfSlot(view, slot),
      (shard) => shard.cache(this.#name).delete(key, options),
    );
    return [...results.values()].some(Boolean);
  }

  /** What concerns all keys. */
  async onAll<T>(act: (cache: CacheService) => Promise<T>): Promise<readonly T[]> {
    const results = await this.#fleet.holders.everywhere(
      (view) => view.holders(),
      (shard) => act(shard.cache(this.#name)),
    );
    return [...results.values()];
  }

  /** At the owner, and away from whoever else might have it. */
  async #changing<T>(
    slot: number,
    change: (cache: CacheService) => Promise<T>,
    clear: (cache: CacheService) => Promise<unknown>,
  ): Promise<{ owner: string | undefined; result: T | undefined; isUndone: boolean }> {
    let owner: string | undefined;
    let result: T | undefined;
    let isUndone = false;
    await this.#fleet.holders.everywhere(
      (view) => {
        // What an earlier try has stored does not stand any more, or is stored again by this one.
        owner = undefined;
        isUndone = view.routeOf(slot).stage === 'handover';
        return holdersOfSlot(view, slot);
      },
      async (shard, view) => {
        const { owner: now, stage } = view.routeOf(slot);
        const cache = shard.cache(this.#name);
        // Whoever writes to the old owner now would not be done before it is read no more; to one that is returning
        // not everybody brings invalidations yet.
        if (shard.id !== now || stage === 'handover' || view.record(now)?.state !== 'up') {
          await clear(cache);
          return;
        }
        result = await change(cache);
        owner = shard.id;
      },
      // A value that could not be stored is no reason to give up all others of the shard: the caller is told.
      { takeOut: false },
    );
    return { owner, result, isUndone };
  }

  /** Of what can not be in two places: it is where it belongs before it is changed. */
  async inPlace<T>(
    key: Key,
    change: (cache: CacheService) => Promise<T>,
  ): Promise<{ result: T | undefined }> {
    const logical = logicalKey(key);
    const slot = slotOf(logical);
    for (;;) {
      if (!(await this.#afterHandover(slot))) throw away();
      const view = await this.#fleet.ready();
      const done = await this.#fleet.underWay.guard(view.epoch, async () => {
        if (!this.#fleet.membership.holds(view) || view.routeOf(slot).stage === 'handover') return undefined;
        const id = view.ownerOf(slot);
        const shard = id === undefined ? undefined : this.#fleet.shards.get(id);
        if (shard === undefined || view.record(shard.id)?.state !== 'up') return { result: undefined };
        await shard.take(this.#name, logical);
        return { result: await change(shard.cache(this.#name)) };
      });
      if (done !== undefined) return done;
    }
  }

  /** @returns whether the slot may be written to */
  async #afterHandover(slot: number): Promise<boolean> {
    const { clock, membership } = this.#fleet;
    const until = clock.now() + HANDOVER_MS;
    const isWaiting = (): boolean =>
      membership.lastView?.stage === 'handover' && membership.lastView.routeOf(slot).stage === 'handover';
    while (isWaiting()) {
      if (clock.now() >= until) return false;
      await new Promise<void>((resolve) => {
        clock.after(HANDOVER_POLL_MS, resolve, { keepAlive: true });
      });
    }
    return true;
  }
}

/** The losing one first, always. */
function holdersOfSlot(view: View, slot: number): readonly (readonly string[])[] {
  const { owner, losing, gaining } = view.routeOf(slot);
  return losing === undefined || gaining === undefined ? [[owner]] : [[losing], [gaining]];
}

export function away(): ShardUnavailableError {
  return new ShardUnavailableError('the shard of this key is away, or the key is being moved', {
    hint: 'nothing was done; try again',
  });
}
