/** Shards that do not answer: they are taken out by agreement, looked after, and let in again as new ones. */
import type { Clock } from '../../core/index.js';
import type { ShardMembership } from './shard-membership.js';
import type { Shard } from './shard.js';
import { withShard, type ShardRecord } from './shard-topology.js';
import { freshGeneration } from './sharded.keys.js';

export interface OutagesParts {
  readonly shards: ReadonlyMap<string, Shard>;
  readonly membership: ShardMembership;
  readonly clock: Clock;
}

export class ShardOutages {
  readonly #parts: OutagesParts;
  readonly #takingOut = new Map<string, Promise<void>>();
  readonly #bringingBack = new Set<string>();

  constructor(parts: OutagesParts) {
    this.#parts = parts;
  }

  /** Nobody counts on that shard any more when this has settled; it begins anew when it is back. */
  takeOut(shard: Shard, as: ShardRecord | undefined): Promise<void> {
    const known = this.#takingOut.get(shard.id);
    if (known !== undefined) return known;
    const taking = this.#parts.membership
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

  /** Looks after shards that are out, and lets those in again that answer. */
  async tend(): Promise<void> {
    const { view } = this.#parts.membership;
    if (view === undefined) return;
    await Promise.all(
      view.ids.map(async (id) => {
        const shard = this.#parts.shards.get(id);
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
      await shard.acceptChanges();
      const generation = freshGeneration(this.#parts.clock.wallNow());
      await this.#parts.membership.change((topology) =>
        topology.shards[shard.id]?.state === 'out'
          ? withShard(topology, shard.id, { state: 'returning', generation, run })
          : undefined,
      );
      // Everybody brings invalidations to it by now, so it may be read.
      await this.#parts.membership.change((topology) =>
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
}
