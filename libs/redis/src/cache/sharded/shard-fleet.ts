/**
 * The shards of this process and what it knows of the others'. Calls come here to learn where a key is, and to
 * have an invalidation brought to everyone who could still answer what was before it.
 */
import { randomBytes } from 'node:crypto';
import type { RedisClient } from '../../connection/index.js';
import { systemClock, telemetryChannel, type Clock } from '../../core/index.js';
import { completed, type CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';
import { ShardMembership } from './shard-membership.js';
import { createNowhere } from './shard-nowhere.js';
import { ShardRegister } from './shard-register.js';
import { Shard } from './shard.js';
import type { ShardTier } from './shard-tier.js';
import { sharesOf, View, withShard, type ShardRecord, type Topology } from './shard-topology.js';
import { ShardChangeError, ShardQuorumError, ShardUnavailableError } from './sharded.errors.js';
import { ShardedKeys } from './sharded.keys.js';
import {
  checkShardId,
  checkWeight,
  resolveShardLease,
  SHARDED_DEFAULTS,
  type OpenShard,
  type ShardedSurroundings,
} from './sharded.options.js';
import { slotOf, SlotTable } from './slot-table.js';
import { UnderWay } from './shard-under-way.js';

export type FleetEvent =
  | { readonly name: 'topology'; readonly epoch: number }
  | { readonly name: 'out' | 'returning' | 'up'; readonly shard: string }
  | {
      readonly name: 'move';
      readonly shard: string;
      readonly stage: string;
      readonly moved: number;
      readonly unreadable: number;
    };

/** So often something is brought to its holders again, because they changed meanwhile. */
const ATTEMPTS = 20;
const UNREACHABLE = new Set([
  'CONNECTION_CLOSED',
  'NOT_CONNECTED',
  'COMMAND_TIMEOUT',
  'OUTCOME_UNKNOWN',
  'CIRCUIT_OPEN',
  'SHARD_UNAVAILABLE',
  'CONNECT_FAILED',
]);

export class ShardFleet {
  readonly clock: Clock;
  readonly keys: ShardedKeys;
  readonly membership: ShardMembership;
  readonly leaseMs: number;
  readonly underWay = new UnderWay();
  readonly random: () => number;
  readonly #surroundings: ShardedSurroundings;
  readonly #register: ShardRegister;
  readonly #shards = new Map<string, Shard>();
  readonly #options = new Map<string, CacheOptions>();
  readonly #listeners = new Set<(event: FleetEvent) => void>();
  readonly #telemetry = telemetryChannel('cache');
  readonly #takingOut = new Map<string, Promise<void>>();
  readonly #bringingBack = new Set<string>();
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
    this.#options.set('default', options);
    const clientOf = (id: string): RedisClient | undefined => this.#shards.get(id)?.client;
    const ids = Object.keys(shards);
    if (ids.length === 0) throw new ShardChangeError('shards: there is none', { hint: 'name at least one' });
    for (const id of ids) {
      checkWeight(shards[id]?.weight ?? SHARDED_DEFAULTS.weight);
      this.#open(checkShardId(id));
    }
    this.#register = new ShardRegister({ keys: this.keys, clock, random, clientOf });
    this.membership = new ShardMembership({
      register: this.#register,
      keys: this.keys,
      clock,
      leaseMs: this.leaseMs,
      clientOf,
      seeds: ids,
      found: () => this.#found(),
      onView: (view, before) => this.#onView(view, before),
      settled: (view) => this.#settled(view),
    });
    this.#nowhere = new CacheService({ client: createNowhere(), namespace, clock, random }, options);
  }

  get id(): string {
    return this.#register.id;
  }

  get shards(): ReadonlyMap<string, Shard> {
    return this.#shards;
  }

  /** Opens all connections; settles when this process takes part. */
  async connect(timeoutMs: number | undefined): Promise<void> {
    const timeout = timeoutMs === undefined ? {} : { timeout: `${timeoutMs}ms` as const };
    const opening = [...this.#shards.values()].map(({ client }) =>
      client.connect(timeout).catch(() => undefined),
    );
    this.start();
    await Promise.all(opening);
    await this.begun(timeoutMs ?? this.leaseMs * 2 + 1_000);
  }

  /** Knows the shards, and has looked whether they are who they were. */
  async begun(timeoutMs?: number): Promise<void> {
    const view = await this.ready(timeoutMs);
    await Promise.all(view.ids.map(async (id) => this.#shards.get(id)?.verify()));
    this.#hasBegun = true;
  }

  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.membership.start();
  }

  /** What is to be acted by; waits for it a moment, and rejects without it. */
  async ready(timeoutMs = 250): Promise<View> {
    if (this.#closed) throw new ShardUnavailableError('the cache was disconnected');
    this.start();
    const { view } = this.membership;
    if (view !== undefined) return view;
    const until = this.clock.now() + timeoutMs;
    for (;;) {
      const renewing = this.membership.renew().catch(() => false);
      await Promise.race([renewing, this.#pause(Math.max(1, until - this.clock.now()))]);
      const now = this.membership.view;
      if (now !== undefined) return now;
      if (this.clock.now() >= until) {
        throw new ShardQuorumError('this process does not know which shards there are', {
          hint: 'too few of them answer',
        });
      }
      await this.#pause(5);
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
    const shard = id === undefined ? undefined : this.#shards.get(id);
    if (shard === undefined || shard.suspect || view?.record(shard.id)?.state !== 'up')
      return this.nowhere(name);
    return shard.cache(name);
  }

  /** Loads, with its cap, and stores nothing. */
  nowhere(name: string): CacheService {
    return this.#nowhere.namespace<string>(name, this.optionsOf(name));
  }

  optionsOf(name: string): CacheOptions {
    return this.#options.get(name) ?? this.#options.get('default') ?? {};
  }

  /** Options count when a name is first heard of. */
  name(name: string, options: CacheOptions): void {
    if (!this.#options.has(name))
      this.#options.set(name, completed(options, this.#options.get('default') ?? {}));
  }

  get names(): readonly string[] {
    return [...this.#options.keys()];
  }

  // -- bringing about ---------------------------------------------------------------------------------------

  /**
   * Does it at all holders, group after group, and settles when nobody can answer any more what was before it. A
   * holder that can not be reached is taken out, by agreement, so that what it has does not count any more.
   */
  async everywhere<T>(
    holdersOf: (view: View) => readonly (readonly string[])[],
    act: (shard: Shard, view: View) => Promise<T>,
    options: { takeOut?: boolean } = {},
  ): Promise<ReadonlyMap<string, T>> {
    let first: ReadonlyMap<string, T> | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const view = await this.ready();
      const { results, lost, error } = await this.underWay.guard(view.epoch, () =>
        this.#once(view, holdersOf(view), act),
      );
      first ??= results;
      if (error !== undefined) throw asError(error);
      if (lost.length === 0) {
        if (this.membership.holds(view)) return merged(first, results);
        continue;
      }
      if (options.takeOut === false) throw asError(lost[0]?.error);
      await Promise.all(lost.map(({ shard }) => this.takeOut(shard, view.record(shard.id))));
    }
    throw new ShardQuorumError('the shards changed again and again', { hint: 'try again' });
  }

  async #once<T>(
    view: View,
    groups: readonly (readonly string[])[],
    act: (shard: Shard, view: View) => Promise<T>,
  ): Promise<{ results: Map<string, T>; lost: { shard: Shard; error: unknown }[]; error: unknown }> {
    const results = new Map<string, T>();
    const lost: { shard: Shard; error: unknown }[] = [];
    let error: unknown;
    for (const group of groups) {
      const present = group.filter((id) => (view.record(id)?.state ?? 'out') !== 'out');
      const acting = present.map(async (id) => {
        const shard = this.#shards.get(id);
        if (shard === undefined) throw new ShardUnavailableError(`shard '${id}' is not known here`);
        try {
          results.set(id, await act(shard, view));
        } catch (reason) {
          if (isUnreachable(reason)) lost.push({ shard, error: reason });
          else error ??= reason;
        }
      });
      await Promise.all(acting);
      // The order of the groups matters: the second is not begun when the first is not done.
      if (lost.length > 0 || error !== undefined) break;
    }
    return { results, lost, error };
  }

  /** Nobody counts on that shard any more when this has settled; it begins anew when it is back. */
  takeOut(shard: Shard, as: ShardRecord | undefined): Promise<void> {
    const known = this.#takingOut.get(shard.id);
    if (known !== undefined) return known;
    const taking = this.membership
      .change((topology) => {
        const record = topology.shards[shard.id];
        if (record === undefined || record.state === 'out') return undefined;
        // It may have begun anew since: then what it holds is newer than what could not be done.
        if (as !== undefined && record.generation !== as.generation) return undefined;
        return withShard(topology, shard.id, { state: 'out' });
      })
      .then(() => undefined)
      .finally(() => this.#takingOut.delete(shard.id));
    this.#takingOut.set(shard.id, taking);
    return taking;
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
    if (!this.#telemetry.active) return;
    const { name, ...attributes } = event;
    const subject = 'shard' in event ? event.shard : 'fleet';
    this.#telemetry.publish({ name: 'cache.shards', subject, outcome: name, attributes });
  }

  /** A shard that is to be added: connected, and known to answer. */
  async openFor(id: string, options: unknown): Promise<{ shard: Shard; run: string }> {
    const shard = this.#shards.get(checkShardId(id)) ?? this.#open(id, options);
    try {
      await shard.client.connect();
      return { shard, run: await shard.askRun() };
    } catch (cause) {
      throw new ShardChangeError(`shard '${id}' does not answer`, { cause });
    }
  }

  /** One that was to be added and was not: the next try may say that it is elsewhere. */
  async letGo(id: string): Promise<void> {
    const isKnown = Object.hasOwn(this.#surroundings.shards, id);
    if (isKnown || this.membership.lastView?.record(id) !== undefined) return;
    const shard = this.#shards.get(id);
    this.#shards.delete(id);
    await shard?.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.membership.close();
    await this.#nowhere.disconnect();
    await Promise.all([...this.#shards.values()].map((shard) => shard.close()));
  }

  /** The share it was configured with in this process. */
  weightOf(id: string): number {
    return this.#surroundings.shards[id]?.weight ?? SHARDED_DEFAULTS.weight;
  }

  freshGeneration(): string {
    return `s${this.clock.wallNow().toString(36)}${randomBytes(3).toString('hex')}`;
  }

  // -- within -----------------------------------------------------------------------------------------------

  #open(id: string, options?: unknown): Shard {
    const { shards, codec, l1 = false, clock, random } = this.#surroundings;
    const plan = shards[id];
    const address = this.membership?.lastView?.record(id)?.address ?? '';
    const opened: OpenShard =
      options !== undefined || plan === undefined
        ? this.#surroundings.open(id, options === undefined ? { address } : { options })
        : this.#surroundings.open(id, { options: plan.options });
    const share = Math.max(1, Object.keys(shards).length);
    const shard = new Shard({
      id,
      opened,
      keys: this.keys,
      codec,
      l1: l1 === false ? false : shared(l1, share),
      clock,
      random,
      optionsOf: (name) => this.optionsOf(name),
      watchOf: (owner, name) => this.#watchOf(owner, name),
      onRestarted: (restarted) => {
        const record = this.membership.lastView?.record(restarted.id);
        if (record?.state === 'up') void this.takeOut(restarted, record).catch(() => undefined);
      },
    });
    this.#shards.set(id, shard);
    return shard;
  }

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
        const source = this.#shards.get(losing);
        // What it has counts until the fleet has agreed that it does not, also while it can not be asked for it.
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
        const shard = this.#shards.get(id);
        const run = await shard?.askRun().catch(() => undefined);
        const record: ShardRecord = {
          weight,
          address: shard?.address ?? '',
          generation: this.freshGeneration(),
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
    for (const id of view.ids) {
      const record = view.record(id);
      const shard = this.#shards.get(id) ?? this.#open(id);
      if (record !== undefined && record.state !== 'out') shard.begin(record.generation, record.run);
      if (before !== undefined && record !== undefined && before.record(id)?.state !== record.state)
        this.tell({ name: record.state, shard: id });
    }
    this.#taking = view.stage === 'moving';
    this.tell({ name: 'topology', epoch: view.epoch });
    for (const [id, shard] of this.#shards) {
      if (view.record(id) !== undefined || before?.record(id) === undefined) continue;
      this.#shards.delete(id);
      // Calls that have begun by the topology before still go there.
      void this.underWay.idleBelow(view.epoch).then(() => shard.close());
    }
  }

  /** Nothing older is under way, and all shards that are to be relied on can be reached. */
  async #settled(view: View): Promise<void> {
    await this.underWay.idleBelow(view.epoch);
    const { move } = view.topology;
    if (move?.kind !== 'add' || move.stage !== 'announced') return;
    const isWanted = (): boolean => !this.#closed && this.membership.lastView?.epoch === view.epoch;
    while (isWanted()) {
      const answered = this.#shards.get(move.shard)?.askRun();
      if ((await answered?.catch(() => undefined)) !== undefined) return;
      await this.#pause(50);
    }
  }

  /** Looks after shards that are out, and lets those in again that answer. */
  async tend(): Promise<void> {
    const { view } = this.membership;
    if (view === undefined) return;
    await Promise.all(
      view.ids.map(async (id) => {
        const shard = this.#shards.get(id);
        const record = view.record(id);
        if (shard === undefined || record === undefined) return;
        if (record.state === 'up') await shard.verify();
        else if (!this.#bringingBack.has(id)) await this.#bringBack(shard);
      }),
    );
  }

  async #bringBack(shard: Shard): Promise<void> {
    this.#bringingBack.add(shard.id);
    try {
      const run = await shard.askRun();
      const generation = this.freshGeneration();
      await this.membership.change((topology) =>
        topology.shards[shard.id]?.state === 'out'
          ? withShard(topology, shard.id, { state: 'returning', generation, run })
          : undefined,
      );
      // Everybody brings invalidations to it by now, so it may be read.
      await this.membership.change((topology) =>
        topology.shards[shard.id]?.state === 'returning'
          ? withShard(topology, shard.id, { state: 'up' })
          : undefined,
      );
    } catch {
      // Still away, or too few agree: it is tried again.
    } finally {
      this.#bringingBack.delete(shard.id);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(ms, resolve, { keepAlive: true });
    });
  }
}

function isUnreachable(error: unknown): boolean {
  return UNREACHABLE.has(String(Reflect.get(Object(error), 'code')));
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** What was removed at the first try counts, though a second one found nothing more. */
function merged<T>(first: ReadonlyMap<string, T>, last: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return first === last ? last : new Map([...last, ...first]);
}

/** The bounds are those of the process, whatever the number of shards. */
function shared<L1 extends { readonly maxEntries: number; readonly maxBytes: number }>(
  l1: L1,
  by: number,
): L1 {
  const maxEntries = Math.max(1, Math.ceil(l1.maxEntries / by));
  return { ...l1, maxEntries, maxBytes: Math.max(1, Math.ceil(l1.maxBytes / by)) };
}
