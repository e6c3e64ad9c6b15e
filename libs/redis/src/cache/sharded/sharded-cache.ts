/**
 * One cache over several independent servers. Each shard is a cache of its own, with its own clocks, leases and
 * near cache, so that one that dies takes only its share with it; this routes by the slot of the key, and brings
 * what concerns all to all. See docs/sharding.md for what holds while shards come and go.
 */
import type { Key, RedisClient, Ttl } from '../../connection/index.js';
import { batchesOf, type Duration, inBatches, parsePositiveDuration, type Timer } from '../../core/index.js';
import { BatchLoader, KEYS_OF_A_LOAD, type ManyLoader } from '../loading/batch-loader.js';
import type { CacheContract, CacheValue } from '../cache-contract.js';
import { logicalKey } from '../cache.keys.js';
import { resolveCache, type CacheOptions } from '../cache.options.js';
import type { CacheService } from '../cache-service.js';
import type { CacheStats } from '../cache-stats.js';
import {
  DECIDED,
  type CacheSetOptions,
  type GetOptions,
  type Loader,
  type LoadOptions,
} from '../call.options.js';
import type { Explanation } from '../explain.js';
import { LoadSlots } from '../loading/load-slots.js';
import { ShardFleet, type FleetEvent } from './shard-fleet.js';
import { ShardMover, type MoveStatus } from './shard-mover.js';
import type { Shard } from './shard.js';
import type { ShardState, View } from './shard-topology.js';
import { ShardChangeError, ShardUnavailableError } from './sharded.errors.js';
import { checkWeight, type ShardPlan, type ShardedSurroundings } from './sharded.options.js';
import { slotOf } from './slot-table.js';
import { addedStats } from './sharded-stats.js';

export interface ShardStatus {
  readonly state: ShardState | 'unknown';
  readonly weight: number;
  readonly address: string;
  /** Part of the keys of what counts on it; another one each time it begins anew. */
  readonly generation: string;
  /** Of 16,384. */
  readonly slots: number;
  /** Whether this process reaches it. */
  readonly health: 'up' | 'degraded' | 'down';
}

export interface ShardedStatus {
  /** Whether this process may act by the topology it knows. */
  readonly current: boolean;
  readonly epoch: number | undefined;
  readonly shards: Readonly<Record<string, ShardStatus>>;
  readonly move: MoveStatus | undefined;
}

/** Where the values of a shard lie. */
export interface ShardHome {
  readonly id: string;
  readonly client: RedisClient;
  readonly generation: string;
  /** Of the values of that generation. */
  readonly namespace: string;
}

export interface ShardedStats extends CacheStats {
  readonly shards: Readonly<Record<string, CacheStats>>;
}

interface Group {
  readonly fleet: ShardFleet;
  readonly mover: ShardMover;
  readonly caches: Map<string, ShardedCache>;
  tending: Timer | undefined;
  closing: Promise<void> | undefined;
}

type Signalled = { signal?: AbortSignal };

const DEFAULT_NAME = 'default';
const HANDOVER_POLL_MS = 2;
const HANDOVER_MS = 250;
/** A handover that begins while a value is stored undoes it: it is stored once more, after it. */
const SET_ATTEMPTS = 2;

export class ShardedCache<Value = unknown, Options = unknown> implements CacheContract<Value> {
  readonly name: string;
  readonly #group: Group;
  readonly #fleet: ShardFleet;
  readonly #slots: LoadSlots;

  constructor(
    surroundings: ShardedSurroundings<Options>,
    options: CacheOptions = {},
    place?: { name: string; group: Group },
  ) {
    this.name = place?.name ?? DEFAULT_NAME;
    this.#group = place?.group ?? begin(surroundings, options);
    this.#fleet = this.#group.fleet;
    this.#slots = new LoadSlots(resolveCache(this.#fleet.optionsOf(this.name)).maxLoads);
    if (place === undefined) this.#group.caches.set(this.name, this);
  }

  // -- life -------------------------------------------------------------------------------------------------

  /** Opens all shards; settles when this process takes part in the fleet. */
  async connect(options: { timeout?: Duration } = {}): Promise<void> {
    const { timeout } = options;
    await this.#fleet.connect(timeout === undefined ? undefined : parsePositiveDuration(timeout, 'timeout'));
  }

  disconnect(): Promise<void> {
    const group = this.#group;
    if (this.name !== DEFAULT_NAME) return Promise.resolve();
    group.tending?.cancel();
    group.closing ??= this.#fleet.close();
    return group.closing;
  }

  namespace<Name extends string>(
    name: Name,
    options: CacheOptions = {},
  ): ShardedCache<CacheValue<Name>, Options> {
    const { caches } = this.#group;
    let cache = caches.get(name);
    if (cache === undefined) {
      this.#fleet.name(name, options);
      const surroundings = {} as ShardedSurroundings;
      cache = new ShardedCache(surroundings, options, { name, group: this.#group });
      caches.set(name, cache);
    }
    return cache;
  }

  // -- values -----------------------------------------------------------------------------------------------

  get<T = Value>(key: Key, options?: GetOptions): Promise<T | undefined> {
    const view = this.#fleet.membership.lastView;
    return this.#reading(key, (cache) => cache.get<T>(key, options)).then((value) => {
      // Its shard may have handed it over since the question was sent.
      if (value !== undefined || this.#fleet.membership.lastView === view || view === undefined) return value;
      return this.get<T>(key, options);
    });
  }

  /** In one round trip per shard, all at once. */
  getMany<T = Value>(keys: readonly Key[], options?: GetOptions): Promise<(T | undefined)[]> {
    return inBatches(keys, (key) => this.get<T>(key, options));
  }

  /** `undefined` is no value. @returns whether it was stored: not while the shard of the key is away */
  async set(key: Key, value: Value, options: Ttl | CacheSetOptions = {}): Promise<boolean> {
    if (value === undefined) return false;
    const slot = slotOf(logicalKey(key));
    for (let attempt = 0; attempt < SET_ATTEMPTS; attempt += 1) {
      const isOpen = await this.#afterHandover(slot);
      const { owner, result, isUndone } = await this.#changing(
        slot,
        (cache) => cache.set(key, value, options),
        async (cache) => cache.delete(key),
      );
      if (owner !== undefined) return result === true;
      if (!isOpen || !isUndone) return false;
    }
    return false;
  }

  async setMany(
    entries: Iterable<readonly [Key, Value]>,
    options: Ttl | CacheSetOptions = {},
  ): Promise<void> {
    await inBatches([...entries], ([key, value]) => this.set(key, value, options));
  }

  async delete(key: Key, options: Signalled = {}): Promise<boolean> {
    const slot = slotOf(logicalKey(key));
    const results = await this.#fleet.everywhere(
      (view) => holdersOfSlot(view, slot),
      (shard) => shard.cache(this.name).delete(key, options),
    );
    return [...results.values()].some(Boolean);
  }

  async deleteMany(keys: readonly Key[], options: Signalled = {}): Promise<number> {
    const removed = await inBatches(keys, (key) => this.delete(key, options));
    return removed.filter(Boolean).length;
  }

  async has(key: Key, options: Signalled = {}): Promise<boolean> {
    return this.#steadily(key, (cache) => cache.has(key, options), false);
  }

  // -- loads ------------------------------------------------------------------------------------------------

  getOrSet<T = Value>(key: Key, loader: Loader<T>, options?: LoadOptions): Promise<T> {
    return this.#reading(key, (cache) => cache.getOrSet<T>(key, loader, options));
  }

  /** With one call of the loader for all that are missing, on whatever shards; for more than 500 keys, one for each 500. */
  async getOrSetMany<T = Value>(
    keys: readonly Key[],
    loader: ManyLoader<T>,
    options: LoadOptions = {},
  ): Promise<(T | undefined)[]> {
    const values: (T | undefined)[] = [];
    for (const batch of batchesOf(keys, KEYS_OF_A_LOAD))
      values.push(...(await this.#getOrSetBatch(batch, loader, options)));
    return values;
  }

  async #getOrSetBatch<T>(
    keys: readonly Key[],
    loader: ManyLoader<T>,
    options: LoadOptions,
  ): Promise<(T | undefined)[]> {
    const batch = new BatchLoader(loader, keys.length, { slots: this.#slots, cache: this.name });
    const answers = keys.map(async (key, index) => {
      const decided = (): void => batch.decided(index);
      try {
        const call = { ...options, [DECIDED]: decided };
        const load = batch.loaderOf(index) as Loader<T | undefined>;
        return await this.#reading(key, (cache) => cache.getOrSet<T | undefined>(key, load, call));
      } finally {
        decided();
      }
    });
    // One shard learns of a failure before another: who asks again at once is not to meet the load that failed.
    await Promise.allSettled(answers);
    return Promise.all(answers);
  }

  // -- invalidation -----------------------------------------------------------------------------------------

  /** On all shards; one that is away begins anew when it is back, so it can not answer what it has missed. */
  async invalidateTags(tags: string | readonly string[]): Promise<void> {
    await this.#onAll((cache) => cache.invalidateTags(tags));
  }

  async deletePrefix(prefix: Key): Promise<number> {
    return sum(await this.#onAll((cache) => cache.deletePrefix(prefix)));
  }

  async flush(): Promise<number> {
    return sum(await this.#onAll((cache) => cache.flush()));
  }

  // -- expiry, counters, hashes -----------------------------------------------------------------------------

  async expire(key: Key, ttl: Ttl, options: Signalled = {}): Promise<boolean> {
    const { result } = await this.#inPlace(key, (cache) => cache.expire(key, ttl, options));
    return result ?? false;
  }

  async ttl(key: Key, options: Signalled = {}): Promise<number | 'never' | undefined> {
    const read = async (cache: CacheService): Promise<number | 'never' | undefined> =>
      cache === this.#fleet.nowhere(this.name) ? undefined : cache.ttl(key, options);
    return this.#steadily(key, read, undefined);
  }

  /** Rejects while the shard of the key is away. What a shard had counted that failed begins from 0 again. */
  async incr(key: Key, amount = 1, options: Ttl | CacheSetOptions = {}): Promise<number> {
    const { result } = await this.#inPlace(key, (cache) => cache.incr(key, amount, options));
    if (result === undefined) throw away();
    return result;
  }

  hset(key: Key, field: string, value: unknown, options?: Ttl | CacheSetOptions): Promise<number>;
  hset(key: Key, fields: Readonly<Record<string, unknown>>, options?: Ttl | CacheSetOptions): Promise<number>;
  async hset(
    key: Key,
    first: string | Readonly<Record<string, unknown>>,
    second?: unknown,
    third?: Ttl | CacheSetOptions,
  ): Promise<number> {
    const fields = typeof first === 'string' ? { [first]: second } : first;
    const options = typeof first === 'string' ? third : (second as Ttl | CacheSetOptions | undefined);
    const { result } = await this.#inPlace(key, (cache) => cache.hset(key, fields, options));
    if (result === undefined) throw away();
    return result;
  }

  async hget<T = unknown>(key: Key, field: string, options: Signalled = {}): Promise<T | undefined> {
    return this.#steadily(key, (cache) => cache.hget<T>(key, field, options), undefined);
  }

  // -- insight ----------------------------------------------------------------------------------------------

  /** The id of the shard that answers for a key now; undefined while this process knows of none. */
  shardFor(key: Key): string | undefined {
    return this.#fleet.membership.lastView?.ownerOf(slotOf(logicalKey(key)));
  }

  async explain(key: Key): Promise<Explanation & { readonly shard: string }> {
    await this.#fleet.ready();
    const shard = this.shardFor(key) ?? '';
    const explanation = await this.#reading(key, (cache) => cache.explain(key));
    return { ...explanation, shard };
  }

  /** The servers in use, and what stands on them; none while this process may not act by what it knows. */
  homes(): readonly ShardHome[] {
    const { view } = this.#fleet.membership;
    if (view === undefined) return [];
    return view.ids.flatMap((id) => {
      const [shard, record] = [this.#fleet.shards.get(id), view.record(id)];
      if (shard === undefined || shard.suspect || record?.state !== 'up') return [];
      const { generation } = record;
      return [{ id, client: shard.client, generation, namespace: this.#fleet.keys.values(generation) }];
    });
  }

  /** All caches of the namespace that were asked for so far, this one among them. */
  get caches(): ReadonlyMap<string, ShardedCache> {
    return this.#group.caches;
  }

  stats(): ShardedStats {
    const { shards } = this.#fleet;
    const each = [...shards].flatMap(([id, shard]) =>
      shard.generation === undefined ? [] : [[id, shard.cache(this.name).stats()] as const],
    );
    const all = [...each.map(([, stats]) => stats), this.#fleet.nowhere(this.name).stats()];
    return { ...addedStats(all), shards: Object.fromEntries(each) };
  }

  status(): ShardedStatus {
    const { membership, shards } = this.#fleet;
    const view = membership.lastView;
    const counts = (
      view?.stage === 'moving' || view?.stage === 'closing' ? view.nextTable : view?.table
    )?.counts();
    const entries = [...shards].map(([id, shard]) => {
      const record = view?.record(id);
      const status: ShardStatus = {
        state: record?.state ?? 'unknown',
        weight: record?.weight ?? 0,
        address: shard.address,
        generation: record?.generation ?? '',
        slots: counts?.get(id) ?? 0,
        health: shard.client.status().health,
      };
      return [id, status] as const;
    });
    return {
      current: membership.view !== undefined,
      epoch: view?.epoch,
      shards: Object.fromEntries(entries),
      move: this.#group.mover.status(),
    };
  }

  /** Told of changes of the topology, of shards that leave and return, and of the progress of moves. */
  onChange(listener: (event: FleetEvent) => void): () => void {
    return this.#fleet.on(listener);
  }

  // -- shards -----------------------------------------------------------------------------------------------

  /**
   * Takes a server in while serving; settles when it has its share and nothing is left with the others. Without a
   * plan it is one that was drained, or that this process was configured with.
   */
  async addShard(id: string, plan?: ShardPlan<Options>): Promise<void> {
    const weight = checkWeight(plan?.weight ?? this.#fleet.weightOf(id));
    const view = await this.#fleet.ready(10_000);
    if ((view.record(id)?.weight ?? 0) > 0 && view.topology.move === undefined)
      throw new ShardChangeError(`there is a shard '${id}' already`);
    try {
      const { shard, run } = await this.#fleet.openFor(id, plan?.options);
      const { address } = shard;
      const generation = this.#fleet.freshGeneration();
      await this.#group.mover.begin('add', id, { weight, address, generation, state: 'up', run });
    } catch (error) {
      // Where it can not be said whether the fleet has taken it in, it may be needed yet.
      if (error instanceof ShardChangeError) await this.#fleet.letGo(id);
      throw error;
    }
  }

  /** Moves what a shard has to the others, and keeps it as one that only takes part in decisions. */
  async drain(id: string): Promise<void> {
    await this.#group.mover.begin('drain', id, undefined);
  }

  /** As `drain`, and lets it go. */
  async removeShard(id: string): Promise<void> {
    await this.#group.mover.begin('remove', id, undefined);
  }

  // -- within -----------------------------------------------------------------------------------------------

  #reading<T>(key: Key, read: (cache: CacheService) => Promise<T>): Promise<T> {
    try {
      const slot = slotOf(logicalKey(key));
      if (!this.#fleet.isBeginning) return read(this.#fleet.readerOf(slot, this.name));
      const ready = this.#fleet.begun().catch(() => undefined);
      return ready.then(() => read(this.#fleet.readerOf(slot, this.name)));
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
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
    await this.#fleet.everywhere(
      (view) => {
        // What an earlier try has stored does not stand any more, or is stored again by this one.
        owner = undefined;
        isUndone = view.routeOf(slot).stage === 'handover';
        return holdersOfSlot(view, slot);
      },
      async (shard, view) => {
        const { owner: now, stage } = view.routeOf(slot);
        const cache = shard.cache(this.name);
        // Whoever writes to the old owner now would not be done before it is read no more.
        if (shard.id !== now || stage === 'handover') {
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
  async #inPlace<T>(
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
        await this.#ensure(shard, logical);
        return { result: await change(shard.cache(this.name)) };
      });
      if (done !== undefined) return done;
    }
  }

  /** Also for counters and hashes; what is not there is looked for again if its owner has changed meanwhile. */
  async #steadily<T>(key: Key, read: (cache: CacheService) => Promise<T>, absent: T): Promise<T> {
    for (;;) {
      const view = this.#fleet.membership.lastView;
      await this.#whole(key);
      const answer = await this.#reading(key, read);
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
    const ensuring = this.#fleet.underWay.guard(view.epoch, () => this.#ensure(shard, logical));
    await ensuring.catch(() => undefined);
  }

  async #ensure(shard: Shard, logical: string): Promise<void> {
    const tier = shard.tier(this.name);
    if (tier !== undefined) await tier.ensure(`${tier.keys.valuePrefix}{${logical}}`);
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

  async #onAll<T>(act: (cache: CacheService) => Promise<T>): Promise<readonly T[]> {
    const results = await this.#fleet.everywhere(
      (view) => view.holders(),
      (shard) => act(shard.cache(this.name)),
    );
    return [...results.values()];
  }
}

function begin(surroundings: ShardedSurroundings, options: CacheOptions): Group {
  const fleet = new ShardFleet(surroundings, options);
  const mover = new ShardMover(fleet);
  const group: Group = { fleet, mover, caches: new Map(), tending: undefined, closing: undefined };
  const everyMs = fleet.leaseMs / 4;
  const tend = (): void => {
    group.tending = fleet.clock.after(everyMs, () => {
      if (group.closing !== undefined) return;
      void fleet.tend();
      mover.takeOver().catch(() => undefined);
      tend();
    });
  };
  tend();
  return group;
}

/** The losing one first, always. */
function holdersOfSlot(view: View, slot: number): readonly (readonly string[])[] {
  const { owner, losing, gaining } = view.routeOf(slot);
  return losing === undefined || gaining === undefined ? [[owner]] : [[losing], [gaining]];
}

function away(): ShardUnavailableError {
  return new ShardUnavailableError('the shard of this key is away, or the key is being moved', {
    hint: 'nothing was done; try again',
  });
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0);
}
