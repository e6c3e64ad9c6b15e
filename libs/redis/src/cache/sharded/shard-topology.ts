/**
 * The one thing all processes of a fleet agree on: which shards there are, in which state, who owns which slot,
 * and how far a change of owners has come. Two epochs that follow each other may be in use at the same time, so
 * each step is such that processes before it and after it do not harm each other; docs/sharding.md has the proof.
 */
import { SlotTable, type SlotShare } from './slot-table.js';

/**
 * - `up`: in use.
 * - `out`: nobody reads it or writes to it; what it holds does not count any more.
 * - `returning`: it has begun anew. Invalidations go to it, reads do not, until everybody knows.
 */
export type ShardState = 'up' | 'out' | 'returning';

/**
 * - `announced`: the old owner serves; invalidations go to both; what the new owner has from before is removed.
 * - `handover`: as before, but what is written waits, so that nobody writes to the old owner any more after it.
 * - `moving`: the new owner serves, and takes what it misses from the old one.
 * - `closing`: the new owner serves alone; invalidations still go to both.
 */
export type MoveStage = 'announced' | 'handover' | 'moving' | 'closing';

export type MoveKind = 'add' | 'drain' | 'remove';

export interface ShardRecord {
  /** Its share of slots among those that are not drained. */
  readonly weight: number;
  /** Where it is, without login; empty for one in this process. */
  readonly address: string;
  /** Values of another generation do not count. */
  readonly generation: string;
  readonly state: ShardState;
  /** The server's own id of its run: after a restart it may hold an older past. Empty when it has none. */
  readonly run: string;
}

export interface MoveRecord {
  readonly kind: MoveKind;
  readonly shard: string;
  readonly stage: MoveStage;
  /** The table to come. */
  readonly table: string;
  /** The process that carries it out. */
  readonly driver: string;
}

export interface Topology {
  readonly epoch: number;
  readonly shards: Readonly<Record<string, ShardRecord>>;
  readonly table: string;
  readonly move?: MoveRecord | undefined;
}

/** What becomes of one slot. */
export interface Route {
  readonly owner: string;
  /** Whoever invalidates does it there too: the losing one always before the gaining one. */
  readonly losing: string | undefined;
  readonly gaining: string | undefined;
  readonly stage: MoveStage | undefined;
}

export class View {
  readonly ballot: string;
  readonly topology: Topology;
  readonly table: SlotTable;
  readonly nextTable: SlotTable | undefined;
  readonly stage: MoveStage | undefined;

  constructor(ballot: string, topology: Topology, before?: View) {
    const { table, move } = topology;
    this.ballot = ballot;
    this.topology = topology;
    this.stage = move?.stage;
    this.table = before?.topology.table === table ? before.table : SlotTable.fromText(table);
    const known = before?.topology.move?.table === move?.table ? before?.nextTable : undefined;
    this.nextTable = move === undefined ? undefined : (known ?? SlotTable.fromText(move.table));
  }

  get epoch(): number {
    return this.topology.epoch;
  }

  get ids(): readonly string[] {
    return Object.keys(this.topology.shards);
  }

  record(id: string): ShardRecord | undefined {
    return this.topology.shards[id];
  }

  /** Who serves it; undefined when no shard has a weight. */
  ownerOf(slot: number): string | undefined {
    if (this.nextTable === undefined || this.stage === 'announced' || this.stage === 'handover')
      return this.table.ownerOf(slot);
    return this.nextTable.ownerOf(slot);
  }

  routeOf(slot: number): Route {
    const losing = this.table.ownerOf(slot) ?? '';
    const gaining = this.nextTable?.ownerOf(slot) ?? losing;
    if (losing === gaining) return { owner: losing, losing: undefined, gaining: undefined, stage: undefined };
    const owner = this.stage === 'announced' || this.stage === 'handover' ? losing : gaining;
    return { owner, losing, gaining, stage: this.stage };
  }

  /** From whom the owner takes what it misses. */
  sourceOf(slot: number): string | undefined {
    if (this.stage !== 'moving') return undefined;
    const { losing } = this.routeOf(slot);
    return losing;
  }

  /** All who hold something, in the order in which they are to be told of an invalidation. */
  holders(): readonly (readonly string[])[] {
    const now = [...this.table.counts().keys()];
    if (this.nextTable === undefined) return [now];
    const before = this.table.counts();
    const gaining = [...this.nextTable.counts()]
      .filter(([id, count]) => count > (before.get(id) ?? 0))
      .map(([id]) => id);
    return [now.filter((id) => !gaining.includes(id)), gaining];
  }
}

/** More than half: any two of them have a shard in common. */
export function quorumOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/** So many that every quorum has one of them. */
export function witnessesOf(count: number): number {
  return count - quorumOf(count) + 1;
}

export function withShard(topology: Topology, id: string, change: Partial<ShardRecord>): Topology {
  const record = topology.shards[id];
  if (record === undefined) return topology;
  return { ...topology, shards: { ...topology.shards, [id]: { ...record, ...change } } };
}

export function sharesOf(shards: Topology['shards']): readonly SlotShare[] {
  return Object.entries(shards).map(([id, { weight }]) => ({ id, weight }));
}

const STAGES: readonly MoveStage[] = ['announced', 'handover', 'moving', 'closing'];

/** The next step of the move that is under way; after the last one the new table is the table. */
export function advanced(topology: Topology): Topology {
  const { move } = topology;
  if (move === undefined) return topology;
  const stage = STAGES[STAGES.indexOf(move.stage) + 1];
  if (stage !== undefined) return { ...topology, move: { ...move, stage } };
  const shards = { ...topology.shards };
  if (move.kind === 'remove') delete shards[move.shard];
  return { epoch: topology.epoch, shards, table: move.table };
}
