/** One shard of this process: its client, and the caches over its present generation. */
import { createCodec } from '../../codec/index.js';
import type { CodecOptions } from '../../codec/index.js';
import { replyText, type RedisClient } from '../../connection/index.js';
import { systemClock, type Clock, type Timer } from '../../core/index.js';
import type { Tiers } from '../cache-engine.js';
import type { CacheOptions } from '../cache.options.js';
import { CacheService } from '../cache-service.js';
import { NearCache } from '../l1/l1-near-cache.js';
import type { LoadSlots } from '../loading/load-slots.js';
import type { ResolvedL1 } from '../l1/l1.options.js';
import { ShardClient } from './shard-client.js';
import { ShardTier, type MoveWatch } from './shard-tier.js';
import { ShardUnavailableError } from './sharded.errors.js';
import type { ShardedKeys } from './sharded.keys.js';
import type { OpenShard } from './sharded.options.js';

export interface ShardParts {
  readonly id: string;
  readonly opened: OpenShard;
  readonly keys: ShardedKeys;
  readonly codec: CodecOptions | undefined;
  readonly l1: ResolvedL1 | false;
  readonly clock: Clock | undefined;
  readonly random: (() => number) | undefined;
  /** Of the cache with that name. */
  optionsOf(name: string): CacheOptions;
  slotsOf(name: string): LoadSlots;
  watchOf(shard: Shard, name: string): MoveWatch;
  /** The server was started again since the fleet took it in. */
  onRestarted(shard: Shard): void;
}

/** Longer than loads last. */
const RETIRE_AFTER_MS = 60_000;

interface Generation {
  readonly name: string;
  readonly near: NearCache | undefined;
  readonly root: CacheService;
  readonly tiers: Map<string, ShardTier>;
}

export class Shard {
  readonly id: string;
  readonly client: RedisClient;
  readonly address: string;
  /** The connection was lost, and whether it is the same server again is not known yet. */
  suspect: boolean;
  readonly #parts: ShardParts;
  readonly #stops: readonly (() => void)[];
  readonly #interruptions = { count: 0 };
  /** The question that is under way, and how often the connection had been lost before it. */
  #verifying: { readonly count: number; readonly asking: Promise<void> } | undefined;
  #generation: Generation | undefined;
  #caches = new Map<string, CacheService>();
  #run = '';
  /** Generations that have ended, and what lets them go. */
  readonly #retired = new Map<Generation, Timer>();

  constructor(parts: ShardParts) {
    this.id = parts.id;
    this.#parts = parts;
    this.client = parts.opened.client;
    this.address = parts.opened.address;
    this.suspect = this.client.topology !== 'embedded';
    this.#stops = [
      this.client.on('lost', () => this.#interrupted()),
      this.client.on('topology', () => this.#interrupted()),
      this.client.on('ready', () => void this.verify()),
    ];
  }

  get generation(): string | undefined {
    return this.#generation?.name;
  }

  /** Values of another generation are another cache. */
  begin(generation: string, run: string): void {
    // The fleet has found another server than this process has: its connection may lead to one that is used no more.
    if (run !== this.#run && this.client.topology !== 'embedded') this.suspect = true;
    this.#run = run;
    if (this.#generation?.name === generation) return;
    const before = this.#generation;
    const { l1, clock, random, codec, keys } = this.#parts;
    const client = new ShardClient(this.client, this.#interruptions);
    const near = l1 === false ? undefined : new NearCache({ client, l1, ...(clock && { clock }) });
    const tiers = new Map<string, ShardTier>();
    const root = new CacheService(
      {
        client,
        namespace: keys.values(generation),
        isPart: true,
        slotsOf: (name) => this.#parts.slotsOf(name),
        codec,
        clock,
        random,
        tiers: (base) => {
          const over: Tiers = near?.tiers(base) ?? { store: base.store, clocks: base.clocks };
          const options = this.#parts.optionsOf(base.name);
          const tier = new ShardTier({
            base,
            store: over.store,
            clocks: over.clocks,
            client,
            codec: createCodec(options.codec ?? codec, clock ?? systemClock),
            clock: clock ?? systemClock,
            watch: this.#parts.watchOf(this, base.name),
          });
          tiers.set(base.name, tier);
          return { ...over, store: tier, close: () => tier.close() };
        },
      },
      this.#parts.optionsOf('default'),
    );
    this.#generation = { name: generation, near, root, tiers };
    this.#caches = new Map();
    if (before !== undefined) this.#retire(before);
    void this.verify();
  }

  cache(name: string): CacheService {
    const known = this.#caches.get(name);
    if (known !== undefined) return known;
    if (this.#generation === undefined) throw new RangeError(`shard '${this.id}' has not begun`);
    const cache = this.#generation.root.namespace<string>(name, this.#parts.optionsOf(name));
    this.#caches.set(name, cache);
    return cache;
  }

  tier(name: string): ShardTier | undefined {
    this.cache(name);
    return this.#generation?.tiers.get(name);
  }

  /** What an old owner has under that key lies here when this has settled. @returns whether there was something */
  async take(name: string, logical: string): Promise<boolean> {
    const tier = this.tier(name);
    return tier !== undefined && (await tier.ensure(`${tier.keys.valuePrefix}{${logical}}`));
  }

  /** The names of caches that were used here. */
  names(): readonly string[] {
    return [...this.#caches.keys()];
  }

  /** The id of the server's present run; empty when it does not say. Rejects when it is away. */
  async askRun(): Promise<string> {
    if (this.client.topology === 'embedded') return '';
    await this.client.command('PING', []);
    if (this.client.topology === 'cluster') return '';
    try {
      const info = replyText(await this.client.command('INFO', ['server']));
      return /^run_id:(\w+)/mu.exec(info)?.[1] ?? '';
    } catch (error) {
      if (Reflect.get(Object(error), 'code') === 'REDIS_REPLY') return '';
      throw error;
    }
  }

  /** Rejects where it takes no changes: a replica answers, too, and so it does under a login that may not write. */
  async acceptChanges(): Promise<void> {
    await this.client.command('HDEL', [this.#parts.keys.members, '']);
  }

  /** Rejects when it can not be said that it is still the server that the fleet took in. */
  async certain(): Promise<void> {
    await this.verify();
    if (this.suspect) throw new ShardUnavailableError(`shard '${this.id}' may be another server by now`);
  }

  /** Looks whether it is still the server that the fleet took in. */
  async verify(): Promise<void> {
    if (!this.suspect || this.#generation === undefined) return;
    const { count } = this.#interruptions;
    if (this.#verifying?.count !== count) this.#verifying = { count, asking: this.#verify(count) };
    await this.#verifying.asking;
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) stop();
    for (const letting of this.#retired.values()) letting.cancel();
    const ending = [this.#generation, ...this.#retired.keys()].flatMap((each) => each ?? []);
    this.#generation = undefined;
    this.#retired.clear();
    await Promise.all(ending.map((each) => end(each)));
    if (this.#parts.opened.shared !== true) await this.client.disconnect();
  }

  async #verify(count: number): Promise<void> {
    try {
      const run = await this.askRun();
      if (this.#interruptions.count !== count) return;
      if (this.#run !== '' && run !== '' && run !== this.#run) this.#parts.onRestarted(this);
      else this.suspect = false;
    } catch {
      // It is asked again when it is connected again, and with every look at the topology.
    } finally {
      if (this.#verifying?.count === count) this.#verifying = undefined;
    }
  }

  /** Loads of it that are under way still have callers. */
  #retire(generation: Generation): void {
    generation.near?.close().catch(() => undefined);
    const letting = (this.#parts.clock ?? systemClock).after(RETIRE_AFTER_MS, () => {
      this.#retired.delete(generation);
      end(generation).catch(() => undefined);
    });
    this.#retired.set(generation, letting);
  }

  #interrupted(): void {
    this.#interruptions.count += 1;
    this.suspect = true;
    // A change of topology leaves the connection as it is; a lost one is asked when it is back.
    (this.#parts.clock ?? systemClock).after(0, () => void this.verify());
  }
}

async function end({ near, root }: Generation): Promise<void> {
  await root.disconnect();
  await near?.close();
}
