/**
 * Carries out a change of owners, stage by stage; each stage is in force for every process before its work is done
 * and the next one begins. Whatever was done once may be done again, so another process can go on where one died.
 */
import { escapeGlob } from '../../connection/index.js';
import { inBatches, sleep } from '../../core/index.js';
import { CacheKeys } from '../cache.keys.js';
import type { ShardFleet } from './shard-fleet.js';
import { isUnreachable } from './shard-holders.js';
import type { Shard } from './shard.js';
import {
  advanced,
  sharesOf,
  type MoveKind,
  type MoveRecord,
  type ShardRecord,
  type Topology,
  type View,
} from './shard-topology.js';
import { ShardChangeError, ShardQuorumError } from './sharded.errors.js';
import { slotOf, SlotTable } from './slot-table.js';

export interface MoveStatus {
  readonly kind: MoveKind;
  readonly shard: string;
  readonly stage: string;
  /** Keys taken to their new owner by this process. */
  readonly moved: number;
  /** Keys of caches this process does not know, which stay behind. */
  readonly unreadable: number;
}

/** Keys on their way at once. */
const AT_ONCE = 32;
const PAUSE_MS = 200;
const LOOK_MS = 20;
/** For so long a shard is waited for that does not answer. */
const LEASES_OF_PATIENCE = 3;

export class ShardMover {
  readonly #fleet: ShardFleet;
  #moved = 0;
  #unreadable = 0;
  /** Old owners that do not answer. */
  readonly #silentSince = new Map<string, number>();
  #running: Promise<void> | undefined;
  /** Calls that carry it out here, or are about to. */
  #atWork = 0;

  constructor(fleet: ShardFleet) {
    this.#fleet = fleet;
  }

  status(): MoveStatus | undefined {
    const move = this.#fleet.membership.lastView?.topology.move;
    if (move === undefined) return undefined;
    const { kind, shard, stage } = move;
    return { kind, shard, stage, moved: this.#moved, unreadable: this.#unreadable };
  }

  /** Announces it and carries it out. */
  begin(kind: MoveKind, shard: string, record: ShardRecord | undefined): Promise<void> {
    return this.#working(() => this.#begin(kind, shard, record));
  }

  /**
   * Goes on with a move that nobody carries out any more: the process that did has died, or it is this one, and was
   * broken off by shards that did not answer.
   */
  async takeOver(): Promise<void> {
    const { membership, id } = this.#fleet;
    const driver = membership.view?.topology.move?.driver;
    if (driver === undefined || this.#atWork > 0) return;
    // Not everybody may have confirmed the stage it was broken off in; the next one waits for that.
    if (driver === id) await this.#working(() => this.#drive());
    else if (membership.driverIsGone) await this.#working(() => this.#takeFrom(driver));
  }

  async #begin(kind: MoveKind, shard: string, record: ShardRecord | undefined): Promise<void> {
    await this.#fleet.ready();
    let refusal: ShardChangeError | undefined;
    await this.#fleet.membership.change((topology) => {
      refusal = undefined;
      if (topology.move !== undefined) {
        if (topology.move.driver !== this.#fleet.id) refusal = underWay();
        else if (topology.move.shard !== shard || topology.move.kind !== kind) refusal = underWay();
        return undefined;
      }
      const present = topology.shards[shard];
      if (kind !== 'add' && present === undefined)
        refusal = new ShardChangeError(`there is no shard '${shard}'`);
      if (refusal !== undefined) return undefined;
      const shards = {
        ...topology.shards,
        [shard]: { ...(present ?? record ?? NOBODY), weight: kind === 'add' ? (record?.weight ?? 1) : 0 },
      };
      if (sharesOf(shards).every(({ weight }) => weight === 0))
        refusal = new ShardChangeError('the last shard with a weight can not be taken away');
      if (refusal !== undefined) return undefined;
      const table = SlotTable.fromText(topology.table).with(sharesOf(shards)).toText();
      const move = { kind, shard, stage: 'announced', table, driver: this.#fleet.id } as const;
      return { ...topology, shards, move };
    });
    if (refusal !== undefined) throw refusal;
    this.#moved = 0;
    this.#unreadable = 0;
    await this.#drive();
  }

  async #takeFrom(gone: string): Promise<void> {
    const { membership, id } = this.#fleet;
    const view = await membership.change((topology) =>
      topology.move?.driver === gone ? { ...topology, move: { ...topology.move, driver: id } } : undefined,
    );
    if (view.topology.move?.driver === id) await this.#drive();
  }

  async #working(work: () => Promise<void>): Promise<void> {
    this.#atWork += 1;
    try {
      await work();
    } finally {
      this.#atWork -= 1;
    }
  }

  #drive(): Promise<void> {
    this.#running ??= this.#steps().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #steps(): Promise<void> {
    const { membership, id } = this.#fleet;
    for (;;) {
      const view = membership.lastView;
      const move = view?.topology.move;
      if (view === undefined || move === undefined || move.driver !== id) return;
      this.#tell(view);
      if (move.stage === 'announced') await this.#clear(await this.#whenReached(move));
      if (move.stage === 'moving') await this.#carry();
      const next = await membership.change((topology) =>
        topology.move?.stage === move.stage &&
        topology.move.driver === id &&
        mayAdvance(topology, topology.move)
          ? advanced(topology)
          : undefined,
      );
      if (next.topology.move === undefined) this.#tell(next, move.shard);
    }
  }

  /** A shard that is added takes over when it serves and every process reaches it. */
  async #whenReached({ kind, shard }: MoveRecord): Promise<View> {
    const { membership, clock, leaseMs } = this.#fleet;
    const until = clock.now() + leaseMs * LEASES_OF_PATIENCE;
    for (;;) {
      const view = await this.#fleet.ready(leaseMs);
      const isUp = view.record(shard)?.state === 'up';
      if (kind !== 'add' || (isUp && (await membership.isReachedByAll(shard, view)))) return view;
      if (clock.now() >= until) {
        throw notReached(shard, view);
      }
      await sleep(LOOK_MS, { clock });
    }
  }

  /** What the new owners have under these slots from a time when they owned them before. */
  async #clear(view: View): Promise<void> {
    const { shards, keys } = this.#fleet;
    await Promise.all(
      [...new Set(view.holders()[1] ?? [])].map(async (id) => {
        const shard = shards.get(id);
        const generation = view.record(id)?.generation;
        if (shard === undefined || generation === undefined || view.record(id)?.state === 'out') return;
        const root = rootOf(keys.values(generation));
        for await (const names of shard.client.scan({ match: `${escapeGlob(root)}*` })) {
          const gained = names.filter((name) => {
            const inner = logicalIn(name, root);
            return inner !== undefined && view.routeOf(slotOf(inner.key)).gaining === id;
          });
          // One by one: a shard may be a cluster, where they lie in several slots.
          await inBatches(gained, (name) => shard.client.command('UNLINK', [name]));
        }
      }),
    );
  }

  /** Until nothing is left with the old owners. */
  async #carry(): Promise<void> {
    for (;;) {
      const view = await this.#fleet.ready(10_000);
      if (view.stage !== 'moving') return;
      this.#unreadable = 0;
      const failures = await Promise.all(view.holders()[0]?.map((id) => this.#carryFrom(id, view)) ?? []);
      if (failures.every((count) => count === 0)) return;
      await sleep(PAUSE_MS, { clock: this.#fleet.clock });
    }
  }

  /** @returns how many could not be moved; what a shard had that is out does not count any more */
  async #carryFrom(id: string, view: View): Promise<number> {
    const { shards, keys, membership } = this.#fleet;
    const source = shards.get(id);
    const record = view.record(id);
    if (source === undefined || record === undefined || record.state !== 'up') return 0;
    const root = rootOf(keys.values(record.generation));
    let failed = 0;
    try {
      for await (const names of source.client.scan({ match: `${escapeGlob(root)}cache:*` })) {
        const moving = names.flatMap((name) => {
          const found = logicalIn(name, root);
          const route = found === undefined ? undefined : view.routeOf(slotOf(found.key));
          return found !== undefined && route?.gaining !== undefined && route.losing === id
            ? [{ ...found, to: route.gaining }]
            : [];
        });
        failed += await this.#carryAll(moving);
        this.#tell(view);
      }
      this.#silentSince.delete(id);
      return failed;
    } catch (error) {
      if (isUnreachable(error)) await this.#doWithout(source, record);
      await membership.renew().catch(() => false);
      return 1;
    }
  }

  /** What an old owner has that does not answer any more is lost, as with any shard that an invalidation can not reach. */
  async #doWithout(source: Shard, record: ShardRecord): Promise<void> {
    const { clock, leaseMs } = this.#fleet;
    const since = this.#silentSince.get(source.id) ?? clock.now();
    this.#silentSince.set(source.id, since);
    if (clock.now() - since < leaseMs * LEASES_OF_PATIENCE) return;
    this.#silentSince.delete(source.id);
    await this.#fleet.outages.takeOut(source, record).catch(() => undefined);
  }

  async #carryAll(moving: readonly { name: string; key: string; to: string }[]): Promise<number> {
    let failed = 0;
    for (let at = 0; at < moving.length; at += AT_ONCE) {
      const some = moving.slice(at, at + AT_ONCE).map(async ({ name, key, to }) => {
        if (!this.#fleet.names.includes(name)) {
          this.#unreadable += 1;
          return;
        }
        const shard = this.#fleet.shards.get(to);
        if (shard === undefined) throw new ShardChangeError(`shard '${to}' is not known`);
        const epoch = this.#fleet.membership.lastView?.epoch ?? 0;
        if (await this.#fleet.underWay.guard(epoch, () => shard.take(name, key))) this.#moved += 1;
      });
      failed += (await Promise.allSettled(some)).filter(({ status }) => status === 'rejected').length;
    }
    return failed;
  }

  #tell({ topology: { move } }: View, shard = move?.shard ?? ''): void {
    const [moved, unreadable] = [this.#moved, this.#unreadable];
    this.#fleet.tell({ name: 'move', shard, stage: move?.stage ?? 'done', moved, unreadable });
  }
}

const NOBODY: ShardRecord = { weight: 0, address: '', generation: '', state: 'out', run: '' };

function underWay(): ShardChangeError {
  return new ShardChangeError('another change of shards is under way', {
    hint: 'status() tells how far it is',
  });
}

function notReached(shard: string, view: View): ShardQuorumError {
  const isTold = view.record(shard)?.address !== '';
  return new ShardQuorumError(`not every process reaches shard '${shard}'`, {
    hint: isTold
      ? 'it takes its share as soon as they do'
      : 'others can not be told where it is: name it in the options of each, and it takes its share as soon as they run',
  });
}

/** Nothing is given to a shard that has died since it was asked. */
function mayAdvance({ shards }: Topology, { kind, shard, stage }: MoveRecord): boolean {
  return kind !== 'add' || stage !== 'announced' || shards[shard]?.state === 'up';
}

/** What all keys of values and leases begin with. */
function rootOf(namespace: string): string {
  const { tracked } = new CacheKeys(namespace, 'x');
  return tracked.values.slice(0, -'cache:'.length);
}

/** The cache and the logical key of a value or a lease. */
function logicalIn(physical: string, root: string): { name: string; key: string } | undefined {
  const [, name, key] = /^(?:cache|lease):([^:]*):\{(.*)\}$/su.exec(physical.slice(root.length)) ?? [];
  if (name === undefined || key === undefined) return undefined;
  return { name: decodeName(name), key };
}

function decodeName(name: string): string {
  return name.replace(/%([0-9A-F]{2})/gu, (_all, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}
