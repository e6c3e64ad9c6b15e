/**
 * The fleet as this process takes part in it: its shards, what is agreed on, what is under way, and those who are to
 * be told of changes. Calls come here to learn what they may act by, and where a key is read.
 */
import { systemClock, type Clock } from '../../core/index.js';
import { tellOfWhole } from '../cache-events.js';
import { completed, resolveCache, type CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';
import { LoadSlots } from '../loading/load-slots.js';
import type { RedisClient } from '../../connection/index.js';
import { ShardDirectory } from './shard-directory.js';
import { ShardHolders } from './shard-holders.js';
import { ShardMembership } from './shard-membership.js';
import { createNowhere } from './shard-nowhere.js';
import { ShardOutages } from './shard-outages.js';
import { ShardRegister } from './shard-register.js';
import type { Shard } from './shard.js';
import type { ShardTier } from './shard-tier.js';
import { sharesOf, type ShardRecord, type Topology, type View } from './shard-topology.js';
import { ShardChangeError, ShardQuorumError, ShardUnavailableError } from './sharded.errors.js';
import { freshGeneration, ShardedKeys } from './sharded.keys.js';
import {
  checkWeight,
  resolveShardLease,
  SHARDED_DEFAULTS,
  type ShardedSurroundings,
} from './sharded.options.js';
import { slotOf, SlotTable } from './slot-table.js';
import { UnderWay } from './shard-under-way.js';

export type FleetEvent =
  | { readonly name: 'topology'; readonly epoch: number }
  | { readonly name: 'out' | 'returning' | 'up'; readonly shard: string }
  /** Something in the options of a shard that was added is probably not meant. */
  | { readonly name: 'warning'; readonly shard: string; readonly text: string }
  | {
      readonly name: 'move';
      readonly shard: string;
      readonly stage: string;
      readonly moved: number;
      readonly unreadable: number;
    };

const DEFAULT_NAME = 'default';
/** Whoever waits for a topology looks so often whether there is one, and so soon again after an answer of too few. */
const LOOK_MS = 50;
const LOOK_AGAIN_MS = 5;

export class ShardFleet {
  readonly clock: Clock;
  readonly keys: ShardedKeys;
  readonly directory: ShardDirectory;
  readonly membership: ShardMembership;
  readonly outages: ShardOutages;
  readonly holders: ShardHolders;
  readonly leaseMs: number;
  readonly underWay = new UnderWay();
  readonly random: () => number;
  readonly #surroundings: ShardedSurroundings;
  readonly #register: ShardRegister;
  readonly #options = new Map<string, CacheOptions>();
  readonly #slots = new Map<string, LoadSlots>();
  readonly #listeners = new Set<(event: FleetEvent) => void>();
  /** What ends the pauses of those who wait. */
  readonly #pauses = new Set<() => void>();
  readonly #nowhere: CacheService;
  #taking = false;
  #started = false;
  #hasBegun = false;
  #closed = false;

  constructor(surroundings: ShardedSurroundings, options: CacheOptions) {
    const { clock = systemClock, random = Math.random, namespace, shards } = surroundings;
    this.#surroundings = surroundings;
    this.clock = clock;
    this.random = random;
    this.keys = new ShardedKeys(namespace);
    this.leaseMs = resolveShardLease(surroundings.lease);
    this.#options.set(DEFAULT_NAME, options);
    const ids = Object.keys(shards);
    if (ids.length === 0) throw new ShardChangeError('shards: there is none', { hint: 'name at least one' });
    for (const id of ids) checkWeight(shards[id]?.weight ?? SHARDED_DEFAULTS.weight);
    const slotsOf = (name: string): LoadSlots => this.slotsOf(name);
    this.directory = new ShardDirectory({
      surroundings,
      keys: this.keys,
      optionsOf: (name) => this.optionsOf(name),
      slotsOf,
      watchOf: (owner, name) => this.#watchOf(owner, name),
      onWarning: (shard, text) => this.tell({ name: 'warning', shard, text }),
      onRestarted: (shard) => {
        const record = this.membership.lastView?.record(shard.id);
        if (record?.state === 'up') void this.outages.takeOut(shard, record).catch(() => undefined);
      },
    });
    const clientOf = (id: string): RedisClient | undefined => this.directory.clientOf(id);
    const meet = (topology: Topology): void => this.directory.meet(topology);
    this.#register = new ShardRegister({ keys: this.keys, clock, random, clientOf, meet });
    this.membership = new ShardMembership({
      register: this.#register,
      keys: this.keys,
      clock,
      leaseMs: this.leaseMs,
      clientOf,
      seeds: ids,
      found: () => this.#found(),
      meet,
      onView: (view, before) => this.#onView(view, before),
      settled: (view) => this.underWay.idleBelow(view.epoch),
      idle: () => this.underWay.idleBelow(Infinity),
    });
    const { membership, underWay } = this;
    this.outages = new ShardOutages({ shards: this.shards, membership, clock });
    this.holders = new ShardHolders({
      shards: this.shards,
      membership,
      underWay,
      ready: () => this.ready(),
      takeOut: (shard, as) => this.outages.takeOut(shard, as),
    });
    this.#nowhere = new CacheService({ client: createNowhere(), namespace, clock, random, slotsOf }, options);
  }

  get id(): string {
    return this.#register.id;
  }

  get shards(): ReadonlyMap<string, Shard> {
    return this.directory.shards;
  }

  /** Opens all connections; settles when this process takes part, and those in use are open. */
  async connect(timeoutMs: number | undefined): Promise<void> {
    const timeout = timeoutMs === undefined ? {} : { timeout: `${timeoutMs}ms` as const };
    const opening = new Map(
      [...this.shards].map(([id, { client }]) => [id, client.connect(timeout).catch(() => undefined)]),
    );
    this.start();
    const { ids } = await this.ready(timeoutMs ?? this.leaseMs * 2 + 1_000);
    // Of those it was given some may have been replaced long ago: nobody waits for them.
    await Promise.all(ids.flatMap((id) => opening.get(id) ?? []));
    await this.begun();
  }

  /** Knows the shards, and has looked whether they are who they were. */
  async begun(): Promise<void> {
    const view = await this.ready();
    await Promise.all(view.ids.map(async (id) => this.shards.get(id)?.verify()));
    this.#hasBegun = true;
  }

  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.membership.start();
  }

  /** What is to be acted by; waits for it a moment, and rejects without it. */
  async ready(timeoutMs = 250): Promise<View> {
    this.start();
    const until = this.clock.now() + timeoutMs;
    for (;;) {
      if (this.#closed) throw new ShardUnavailableError('the cache was disconnected');
      const { view } = this.membership;
      if (view !== undefined) return view;
      const leftMs = until - this.clock.now();
      if (leftMs <= 0) throw this.#unconfirmed();
      const renewing = this.membership.renew().catch(() => false);
      const isRenewed = await Promise.race([renewing, this.#pause(Math.min(leftMs, LOOK_MS))]);
      if (isRenewed === false) await this.#pause(Math.min(leftMs, LOOK_AGAIN_MS));
    }
  }

  /** Whether nothing was known yet: then a call waits, as for a connection that is being made. */
  get isBeginning(): boolean {
    return !this.#hasBegun && !this.#closed;
  }

  // -- reading ----------------------------------------------------------------------------------------------

  /** The cache that answers for a slot now: its shard's, or one that only loads. */
  readerOf(slot: number, name: string): CacheService {
    const { view } = this.membership;
    const id = view?.ownerOf(slot);
    const shard = id === undefined ? undefined : this.shards.get(id);
    if (shard === undefined || shard.suspect || view?.record(shard.id)?.state !== 'up')
      return this.nowhere(name);
    return shard.cache(name);
  }

  /** Loads, with its cap, and stores nothing. */
  nowhere(name: string): CacheService {
    return this.#nowhere.namespace<string>(name, this.optionsOf(name));
  }

  optionsOf(name: string): CacheOptions {
    return this.#options.get(name) ?? this.#options.get(DEFAULT_NAME) ?? {};
  }

  /** Options count when a name is first heard of. */
  name(name: string, options: CacheOptions): void {
    if (!this.#options.has(name))
      this.#options.set(name, completed(options, this.#options.get(DEFAULT_NAME) ?? {}));
  }

  /** The cap on loads is one for all shards, and for all caches but those that set their own. */
  slotsOf(name: string): LoadSlots {
    const capOf = (cache: string): number => resolveCache(this.optionsOf(cache)).maxLoads;
    const sharing = capOf(name) === capOf(DEFAULT_NAME) ? DEFAULT_NAME : name;
    let slots = this.#slots.get(sharing);
    if (slots === undefined) {
      slots = new LoadSlots(capOf(sharing));
      this.#slots.set(sharing, slots);
    }
    return slots;
  }

  get names(): readonly string[] {
    return [...this.#options.keys()];
  }

  // -- changing ---------------------------------------------------------------------------------------------

  on(listener: (event: FleetEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  tell(event: FleetEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // It is told in the middle of a change, which all processes wait for.
        process.emitWarning(`a listener of shard changes threw: ${String(error)}`);
      }
    }
    const { name, ...attributes } = event;
    const subject = 'shard' in event ? event.shard : 'fleet';
    tellOfWhole(() => ({ name: 'cache.shards', subject, outcome: name, attributes }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const end of this.#pauses) end();
    await this.membership.close();
    await this.#nowhere.disconnect();
    await this.directory.close();
  }

  /** The share it was configured with in this process. */
  weightOf(id: string): number {
    return this.#surroundings.shards[id]?.weight ?? SHARDED_DEFAULTS.weight;
  }

  // -- within -----------------------------------------------------------------------------------------------

  #watchOf(owner: Shard, name: string) {
    const isTaking = (): boolean => this.#taking;
    return {
      get taking(): boolean {
        return isTaking();
      },
      sourceOf: (key: string): ShardTier | 'away' | undefined => {
        const view = this.membership.lastView;
        if (view?.stage !== 'moving') return undefined;
        const slot = slotOf(key.slice(key.indexOf('{') + 1, -1));
        const { losing, gaining } = view.routeOf(slot);
        if (gaining !== owner.id || losing === undefined) return undefined;
        if (view.record(losing)?.state !== 'up') return undefined;
        const source = this.shards.get(losing);
        // Not everybody brings invalidations to a new owner that is out or returning.
        if (view.record(gaining)?.state !== 'up') return 'away';
        // What the source has counts until the fleet has agreed that it does not, also while it can not be asked for it.
        if (source === undefined || source.suspect || !this.membership.holds(view)) return 'away';
        return source.tier(name);
      },
      guard: <T>(work: () => Promise<T>): Promise<T> =>
        this.underWay.guard(this.membership.lastView?.epoch ?? 0, work),
    };
  }

  /** The first topology there is: of what this process was given. */
  async #found(): Promise<Topology> {
    const entries = await Promise.all(
      Object.entries(this.#surroundings.shards).map(async ([id, { weight = SHARDED_DEFAULTS.weight }]) => {
        const shard = this.shards.get(id);
        const run = await shard?.askRun().catch(() => undefined);
        const record: ShardRecord = {
          weight,
          address: shard?.address ?? '',
          generation: freshGeneration(this.clock.wallNow()),
          state: run === undefined ? 'out' : 'up',
          run: run ?? '',
        };
        return [id, record] as const;
      }),
    );
    const shards = Object.fromEntries(entries);
    return { epoch: 1, shards, table: SlotTable.of(sharesOf(shards)).toText() };
  }

  #onView(view: View, before: View | undefined): void {
    this.directory.follow(view, before, this.underWay.idleBelow(view.epoch));
    this.#taking = view.stage === 'moving';
    for (const id of view.ids) {
      const state = view.record(id)?.state;
      if (before !== undefined && state !== undefined && before.record(id)?.state !== state)
        this.tell({ name: state, shard: id });
    }
    this.tell({ name: 'topology', epoch: view.epoch });
  }

  /** Ends early when the fleet is closed. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#pauses.delete(end);
        resolve();
      };
      const timer = this.clock.after(ms, end, { keepAlive: true });
      this.#pauses.add(end);
    });
  }

  #unconfirmed(): ShardQuorumError {
    const { lastView } = this.membership;
    const ids = [...(lastView?.ids ?? Object.keys(this.#surroundings.shards))].join(', ');
    return lastView === undefined
      ? new ShardQuorumError('this process does not know which shards there are', {
          hint: `none of ${ids} tells: name one that is in use; of a new fleet more than half have to answer`,
        })
      : new ShardQuorumError('too few shards confirm what this process knows of them', {
          hint: `it knows of ${ids}: if others are in use by now, start it with one of those`,
        });
  }
}
