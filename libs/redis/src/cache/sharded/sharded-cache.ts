/**
 * One cache over several independent servers. Each shard is a cache of its own, with its own clocks, leases and
 * near cache, so that one that dies takes only its share with it; this routes by the slot of the key, and brings
 * what concerns all to all. See docs/sharding.md for what holds while shards come and go.
 */
import type { Key, RedisClient, Ttl } from '../../connection/index.js';
import { type Duration, inBatches, parsePositiveDuration, type Timer } from '../../core/index.js';
import { BatchLoader, type ManyLoader } from '../loading/batch-loader.js';
import type { CacheContract, CacheValue } from '../cache-contract.js';
import { CacheEvents } from '../cache-events.js';
import { CacheKeys, logicalKey } from '../cache.keys.js';
import type { CacheOptions } from '../cache.options.js';
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
import type { LoadSlots } from '../loading/load-slots.js';
import { ShardFleet, type FleetEvent } from './shard-fleet.js';
import { ShardMover, type MoveStatus } from './shard-mover.js';
import type { ShardState } from './shard-topology.js';
import { ShardChangeError } from './sharded.errors.js';
import { freshGeneration } from './sharded.keys.js';
import { checkWeight, type ShardPlan, type ShardedSurroundings } from './sharded.options.js';
import { slotOf } from './slot-table.js';
import { ShardedReads } from './sharded-reads.js';
import { addedStats } from './sharded-stats.js';
import { away, ShardedWrites } from './sharded-writes.js';

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

export class ShardedCache<Value = unknown, Options = unknown> implements CacheContract<Value> {
  readonly name: string;
  readonly #group: Group;
  readonly #fleet: ShardFleet;
  readonly #reads: ShardedReads;
  readonly #writes: ShardedWrites;
  readonly #slots: LoadSlots;
  readonly #events: CacheEvents;

  constructor(
    surroundings: ShardedSurroundings<Options>,
    options: CacheOptions = {},
    place?: { name: string; group: Group },
  ) {
    this.name = place?.name ?? DEFAULT_NAME;
    this.#events = new CacheEvents(this.name);
    this.#group = place?.group ?? begin(surroundings, options);
    this.#fleet = this.#group.fleet;
    this.#reads = new ShardedReads(this.#fleet, this.name);
    this.#writes = new ShardedWrites(this.#fleet, this.name);
    this.#slots = this.#fleet.slotsOf(this.name);
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
    return this.#reads
      .once(key, (cache) => cache.get<T>(key, options))
      .then((value) => {
        // Its shard may have handed it over since the question was sent.
        if (value !== undefined || this.#fleet.membership.lastView === view || view === undefined)
          return value;
        return this.get<T>(key, options);
      });
  }

  held<T = Value>(key: Key): T | undefined {
    const slot = slotOf(logicalKey(key));
    return this.#fleet.isBeginning ? undefined : this.#fleet.readerOf(slot, this.name).held<T>(key);
  }

  /** In one round trip per shard, all at once. */
  getMany<T = Value>(keys: readonly Key[], options?: GetOptions): Promise<(T | undefined)[]> {
    return inBatches(keys, (key) => this.get<T>(key, options));
  }

  /** `undefined` is no value. @returns whether it was stored: not while the shard of the key is away */
  async set(key: Key, value: Value, options: Ttl | CacheSetOptions = {}): Promise<boolean> {
    if (value === undefined) return false;
    return this.#writes.store(key, (cache) => cache.set(key, value, options));
  }

  async setMany(
    entries: Iterable<readonly [Key, Value]>,
    options: Ttl | CacheSetOptions = {},
  ): Promise<void> {
    await inBatches([...entries], ([key, value]) => this.set(key, value, options));
  }

  async delete(key: Key, options: Signalled = {}): Promise<boolean> {
    const full = (): string => this.#keyAtOwner(key);
    return this.#invalidating('delete', () => this.#writes.remove(key, options), full);
  }

  async deleteMany(keys: readonly Key[], options: Signalled = {}): Promise<number> {
    const removing = (key: Key): Promise<boolean> => this.#writes.remove(key, options);
    const removed = await this.#invalidating('deleteMany', () => inBatches(keys, removing));
    return removed.filter(Boolean).length;
  }

  async has(key: Key, options: Signalled = {}): Promise<boolean> {
    return this.#reads.steadily(key, (cache) => cache.has(key, options), false);
  }

  // -- loads ------------------------------------------------------------------------------------------------

  getOrSet<T = Value>(key: Key, loader: Loader<T>, options?: LoadOptions): Promise<T> {
    return this.#reads.once(key, (cache) => cache.getOrSet<T>(key, loader, options));
  }

  /** With one call of the loader for all that are missing, on whatever shards. */
  async getOrSetMany<T = Value>(
    keys: readonly Key[],
    loader: ManyLoader<T>,
    options: LoadOptions = {},
  ): Promise<(T | undefined)[]> {
    const batch = new BatchLoader(loader, keys.length, { slots: this.#slots, cache: this.name });
    return batch.outcomesOf(keys, async (key, index) => {
      const decided = (): void => batch.decided(index);
      try {
        const call = { ...options, [DECIDED]: decided };
        const load = batch.loaderOf(index) as Loader<T | undefined>;
        return await this.#reads.once(key, (cache) => cache.getOrSet<T | undefined>(key, load, call));
      } finally {
        decided();
      }
    });
  }

  // -- invalidation -----------------------------------------------------------------------------------------

  /** On all shards; one that is away begins anew when it is back, so it can not answer what it has missed. */
  async invalidateTags(tags: string | readonly string[]): Promise<void> {
    await this.#invalidating('tags', () => this.#writes.onAll((cache) => cache.invalidateTags(tags)));
  }

  async deletePrefix(prefix: Key): Promise<number> {
    return sum(
      await this.#invalidating('prefix', () => this.#writes.onAll((cache) => cache.deletePrefix(prefix))),
    );
  }

  async flush(): Promise<number> {
    return sum(await this.#invalidating('flush', () => this.#writes.onAll((cache) => cache.flush())));
  }

  // -- expiry, counters, hashes -----------------------------------------------------------------------------

  async expire(key: Key, ttl: Ttl, options: Signalled = {}): Promise<boolean> {
    const { result } = await this.#writes.inPlace(key, (cache) => cache.expire(key, ttl, options));
    return result ?? false;
  }

  async ttl(key: Key, options: Signalled = {}): Promise<number | 'never' | undefined> {
    const read = async (cache: CacheService): Promise<number | 'never' | undefined> =>
      cache === this.#fleet.nowhere(this.name) ? undefined : cache.ttl(key, options);
    return this.#reads.steadily(key, read, undefined);
  }

  /** Rejects while the shard of the key is away. What a shard had counted that failed begins from 0 again. */
  async incr(key: Key, amount = 1, options: Ttl | CacheSetOptions = {}): Promise<number> {
    const { result } = await this.#writes.inPlace(key, (cache) => cache.incr(key, amount, options));
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
    const { result } = await this.#writes.inPlace(key, (cache) => cache.hset(key, fields, options));
    if (result === undefined) throw away();
    return result;
  }

  async hget<T = unknown>(key: Key, field: string, options: Signalled = {}): Promise<T | undefined> {
    return this.#reads.steadily(key, (cache) => cache.hget<T>(key, field, options), undefined);
  }

  // -- insight ----------------------------------------------------------------------------------------------

  /** The id of the shard that answers for a key now; undefined while this process knows of none. */
  shardFor(key: Key): string | undefined {
    return this.#fleet.membership.lastView?.ownerOf(slotOf(logicalKey(key)));
  }

  async explain(key: Key): Promise<Explanation & { readonly shard: string }> {
    await this.#fleet.ready();
    const shard = this.shardFor(key) ?? '';
    const explanation = await this.#reads.once(key, (cache) => cache.explain(key));
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
    const { directory } = this.#fleet;
    const weight = checkWeight(plan?.weight ?? this.#fleet.weightOf(id));
    const view = await this.#fleet.ready(10_000);
    if ((view.record(id)?.weight ?? 0) > 0 && view.topology.move === undefined)
      throw new ShardChangeError(`there is a shard '${id}' already`);
    try {
      const { shard, run } = await directory.propose(id, plan?.options, view);
      const { address } = shard;
      const generation = freshGeneration(this.#fleet.clock.wallNow());
      await this.#group.mover.begin('add', id, { weight, address, generation, state: 'up', run });
      // An earlier call, of which nobody could say what became of it, had been heard.
      const taken = this.#fleet.shards.get(id) ?? shard;
      if (taken.address !== address) throw elsewhere(id, taken.address);
    } catch (error) {
      // Where it can not be said whether the fleet has taken it in, it may be needed yet.
      if (error instanceof ShardChangeError) await directory.withdraw(id, this.#fleet.membership.lastView);
      else directory.doubt(id);
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

  /** One call is one event, however many shards it is brought to. */
  #invalidating<T>(by: string, work: () => Promise<T>, key?: () => string): Promise<T> {
    return this.#events.invalidating({ by, key, clock: this.#fleet.clock }, work);
  }

  /** As its reads are told of. */
  #keyAtOwner(key: Key): string {
    const view = this.#fleet.membership.lastView;
    const owner = view?.ownerOf(slotOf(logicalKey(key)));
    const generation = owner === undefined ? undefined : view?.record(owner)?.generation;
    return new CacheKeys(this.#fleet.keys.values(generation ?? ''), this.name).value(key);
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
      void fleet.outages.tend();
      mover.takeOver().catch(() => undefined);
      tend();
    });
  };
  tend();
  return group;
}

function elsewhere(id: string, address: string): ShardChangeError {
  return new ShardChangeError(`shard '${id}' was taken in at ${address}, as it was said before`, {
    hint: 'drain and remove it before it is added at another address',
  });
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0);
}
