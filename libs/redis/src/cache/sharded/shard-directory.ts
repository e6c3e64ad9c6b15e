/** The shards this process has connections to: those it was given, those the fleet names, and one it proposes. */
import type { RedisClient } from '../../connection/index.js';
import type { CacheOptions } from '../cache.options.js';
import type { LoadSlots } from '../loading/load-slots.js';
import type { MoveWatch } from './shard-tier.js';
import { Shard } from './shard.js';
import { createNowhere } from './shard-nowhere.js';
import type { Topology, View } from './shard-topology.js';
import { ShardChangeError, ShardUnavailableError } from './sharded.errors.js';
import type { ShardedKeys } from './sharded.keys.js';
import { checkShardId, type OpenShard, type ShardedSurroundings } from './sharded.options.js';

export interface DirectoryParts {
  readonly surroundings: ShardedSurroundings;
  readonly keys: ShardedKeys;
  optionsOf(name: string): CacheOptions;
  slotsOf(name: string): LoadSlots;
  watchOf(owner: Shard, name: string): MoveWatch;
  /** The server was started again since the fleet took it in. */
  onRestarted(shard: Shard): void;
  /** Something in the options of a shard is probably not meant. */
  onWarning(id: string, text: string): void;
}

/** Where a shard is found. */
type Opening = { readonly options: unknown } | { readonly address: string };

export class ShardDirectory {
  readonly #parts: DirectoryParts;
  readonly #shards = new Map<string, Shard>();
  /** Opened because a record names them that nobody has confirmed yet. */
  readonly #met = new Set<string>();
  /** The addresses of those that this process adds; another one may add them at the same time, as other servers. */
  readonly #proposed = new Map<string, string>();
  /** Proposed by a call that could not say whether the fleet has taken them in. */
  readonly #doubtful = new Set<string>();
  #closed = false;

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
    for (const id of Object.keys(parts.surroundings.shards))
      this.#open(checkShardId(id), this.#asConfigured(id, ''));
  }

  get shards(): ReadonlyMap<string, Shard> {
    return this.#shards;
  }

  clientOf(id: string): RedisClient | undefined {
    return this.#shards.get(id)?.client;
  }

  /** From now on the shards that it names can be asked. */
  meet({ shards }: Topology): void {
    if (this.#closed) return;
    for (const [id, { address }] of Object.entries(shards)) {
      if (!this.#shards.has(id)) this.#met.add(id);
      this.#agreedOn(id, address);
    }
  }

  /** Has the shards of a topology, in their present generations, and closes others when `idle` has settled. */
  follow(view: View, before: View | undefined, idle: Promise<void>): void {
    for (const id of view.ids) {
      const record = view.record(id);
      const shard = this.#agreedOn(id, record?.address ?? '');
      if (record !== undefined && record.state !== 'out') shard.begin(record.generation, record.run);
    }
    for (const [id, shard] of this.#shards) {
      if (view.record(id) !== undefined || (before?.record(id) === undefined && !this.#met.has(id))) continue;
      this.#shards.delete(id);
      this.#proposed.delete(id);
      // Calls that have begun by the topology before still go there.
      void idle.then(() => shard.close());
    }
    this.#met.clear();
  }

  /** One that is to be added: connected, and known to answer. */
  async propose(id: string, options: unknown, view: View): Promise<{ shard: Shard; run: string }> {
    if (options !== undefined && this.#doubtful.delete(id)) await this.withdraw(id, view);
    let shard = this.#shards.get(checkShardId(id));
    if (shard === undefined) {
      shard = this.#open(id, options === undefined ? this.#asConfigured(id, '') : { options });
      this.#proposed.set(id, shard.address);
    }
    return { shard, run: await runOf(shard) };
  }

  /** One that was to be added and was not: the next try may say that it is elsewhere. */
  async withdraw(id: string, view: View | undefined): Promise<void> {
    const isKnown = Object.hasOwn(this.#parts.surroundings.shards, id);
    if (isKnown || view?.record(id) !== undefined) return;
    const shard = this.#shards.get(id);
    this.#shards.delete(id);
    this.#proposed.delete(id);
    await shard?.close();
  }

  /** It may have been added: it is kept until the fleet says so, or somebody says that it is elsewhere. */
  doubt(id: string): void {
    this.#doubtful.add(id);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#shards.values()].map((shard) => shard.close()));
  }

  /** The shard that the fleet means: what this process has proposed under that name may be another server. */
  #agreedOn(id: string, address: string): Shard {
    const shard = this.#shards.get(id);
    if (shard === undefined) return this.#open(id, this.#asConfigured(id, address));
    const standsFor = this.#proposed.get(id);
    if (standsFor === undefined || standsFor === address || address === '') return shard;
    void shard.close();
    this.#proposed.set(id, address);
    return this.#open(id, { address });
  }

  /** What nobody has told this process of is found by its address. */
  #asConfigured(id: string, address: string): Opening {
    const plan = this.#parts.surroundings.shards[id];
    return plan === undefined ? { address } : { options: plan.options };
  }

  #open(id: string, opening: Opening): Shard {
    const { surroundings, ...given } = this.#parts;
    const { shards, codec, l1 = false, clock, random } = surroundings;
    const share = Math.max(1, Object.keys(shards).length);
    const opened = open(id, opening, surroundings);
    const shard = new Shard({
      ...given,
      id,
      opened,
      codec,
      l1: l1 === false ? false : shared(l1, share),
      clock,
      random,
    });
    this.#shards.set(id, shard);
    for (const text of opened.warnings ?? []) this.#parts.onWarning(id, text);
    return shard;
  }
}

/** The bounds are those of the process, whatever the number of shards. */
function shared<L1 extends { readonly maxEntries: number; readonly maxBytes: number }>(
  l1: L1,
  by: number,
): L1 {
  const maxEntries = Math.max(1, Math.ceil(l1.maxEntries / by));
  return { ...l1, maxEntries, maxBytes: Math.max(1, Math.ceil(l1.maxBytes / by)) };
}

/** What this process can not, or may not, find is one that never answers: the fleet goes on without its share. */
function open(id: string, opening: Opening, surroundings: ShardedSurroundings): OpenShard {
  if ('options' in opening) return surroundings.open(id, opening);
  const { address } = opening;
  // A cluster, or what is behind Sentinel, has none that others could be told.
  if (address === '') return nowhere(address, withoutAddress(id));
  try {
    return surroundings.open(id, opening);
  } catch (error) {
    if (error instanceof ShardUnavailableError) return nowhere(address, error);
    throw error;
  }
}

function nowhere(address: string, why: ShardUnavailableError): OpenShard {
  return { client: createNowhere(why), address, warnings: [`${why.message}; ${why.hint ?? ''}`] };
}

function withoutAddress(id: string): ShardUnavailableError {
  return new ShardUnavailableError(`shard '${id}' has no address by which this process could find it`, {
    hint: `name it in the options of every process: shards: { ${id}: { … } }`,
  });
}

/** The run of a server that can be a shard. */
async function runOf(shard: Shard): Promise<string> {
  const { id, client } = shard;
  const run = await client
    .connect()
    .then(() => shard.askRun())
    .catch((cause: unknown) => {
      throw new ShardChangeError(`shard '${id}' does not answer`, { cause });
    });
  await shard.acceptChanges().catch((cause: unknown) => {
    throw new ShardChangeError(`shard '${id}' takes no changes`, {
      cause,
      hint: 'a shard is a primary, with a login that may write',
    });
  });
  return run;
}
