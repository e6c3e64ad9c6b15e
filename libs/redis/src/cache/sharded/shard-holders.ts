/**
 * Those who hold something: whatever concerns it is brought to all of them, group after group, and settles when
 * nobody can answer any more what was before it.
 */
import type { ShardMembership } from './shard-membership.js';
import type { Shard } from './shard.js';
import type { ShardRecord, View } from './shard-topology.js';
import type { UnderWay } from './shard-under-way.js';
import { ShardQuorumError, ShardUnavailableError } from './sharded.errors.js';

export interface HoldersParts {
  readonly shards: ReadonlyMap<string, Shard>;
  readonly membership: ShardMembership;
  readonly underWay: UnderWay;
  /** What is to be acted by. */
  ready(): Promise<View>;
  takeOut(shard: Shard, as: ShardRecord | undefined): Promise<void>;
}

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

/** Replies of a server that is there and takes no changes from anybody. */
const NOT_SERVING = new Set(['READONLY', 'MISCONF', 'MASTERDOWN', 'LOADING', 'CLUSTERDOWN', 'NOREPLICAS']);

export class ShardHolders {
  readonly #parts: HoldersParts;

  constructor(parts: HoldersParts) {
    this.#parts = parts;
  }

  /**
   * Does it at all holders, group after group, and settles when nobody can answer any more what was before it. A
   * holder that can not be reached is taken out, by agreement, so that what it has does not count any more.
   */
  async everywhere<T>(
    holdersOf: (view: View) => readonly (readonly string[])[],
    act: (shard: Shard, view: View) => Promise<T>,
    options: { takeOut?: boolean } = {},
  ): Promise<ReadonlyMap<string, T>> {
    const { membership, underWay } = this.#parts;
    let first: ReadonlyMap<string, T> | undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const view = await this.#parts.ready();
      const groups = holdersOf(view);
      const isOutSome = groups.flat().some((id) => view.record(id)?.state === 'out');
      const { results, lost, error } = await underWay.guard(view.epoch, () => this.#once(view, groups, act));
      first ??= results;
      if (error !== undefined) throw asError(error);
      if (lost.length === 0) {
        // What is out for this process may be in use for another one still, until that has heard of it.
        if (isOutSome) await membership.inForce(view);
        if (membership.holds(view)) return merged(first, results);
        continue;
      }
      if (options.takeOut === false) throw asError(lost[0]?.error);
      await Promise.all(lost.map(({ shard }) => this.#parts.takeOut(shard, view.record(shard.id))));
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
        const shard = this.#parts.shards.get(id);
        if (shard === undefined) throw new ShardUnavailableError(`shard '${id}' is not known here`);
        try {
          if (shard.suspect) await shard.certain();
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
}

export function isUnreachable(error: unknown): boolean {
  const [code, kind] = ['code', 'kind'].map((name) => String(Reflect.get(Object(error), name)));
  return UNREACHABLE.has(code ?? '') || (code === 'REDIS_REPLY' && NOT_SERVING.has(kind ?? ''));
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** What was removed at the first try counts, though a second one found nothing more. */
function merged<T>(first: ReadonlyMap<string, T>, last: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return first === last ? last : new Map([...last, ...first]);
}
