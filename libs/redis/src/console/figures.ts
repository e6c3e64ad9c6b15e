/** What the figures of the stats come to: what was gained between two readings, and the worst of what they tell. */
import type { CacheFigures, OwnFigures } from '../monitoring/index.js';
import type { CacheKind } from './console.source.js';

/** How bad it is: the greatest of all nodes is shown. */
const BREAKER_RANK: Readonly<Record<string, number>> = {
  closed: 0,
  off: 0,
  'half-open': 1,
  isolated: 2,
  open: 2,
};
/** What the fleet has agreed on, of shards that are not to be read. */
const AWAY: ReadonlySet<string> = new Set(['out', 'returning']);
const UP: Readonly<Record<string, number>> = { up: 1, degraded: 0.5, down: 0 };

export const CHANGES = [
  'requests',
  'l1',
  'l2',
  'fallback',
  'stale',
  'misses',
  'loads',
  'loadFailures',
  'coalesced',
  'failures',
] as const;

export type Change = Record<(typeof CHANGES)[number], number>;

export const NOTHING = Object.fromEntries(CHANGES.map((name) => [name, 0])) as Change;

/** A cache that was not there before has done all it did in this step; one that was made anew counts from 0. */
export function changeOf(now: CacheFigures, then: CacheFigures | undefined): Change {
  const since = (pick: (figures: CacheFigures) => number): number =>
    Math.max(0, pick(now) - (then === undefined ? 0 : pick(then)));
  return {
    requests: since(({ reads }) => reads),
    l1: since(({ tiers }) => tiers.l1),
    l2: since(({ tiers }) => tiers.l2),
    fallback: since(({ tiers }) => tiers.fallback),
    stale: since(({ stale }) => stale),
    misses: since(({ misses }) => misses),
    loads: since(({ loads }) => loads),
    loadFailures: since(({ loadFailures }) => loadFailures),
    coalesced: since(({ coalesced }) => coalesced),
    failures: since(({ failures }) => failures),
  };
}

export interface CacheLine {
  /** `'cache/default'` */
  readonly id: string;
  readonly kind: CacheKind;
  readonly name: string;
  readonly figures: CacheFigures;
}

export function cachesOf({ caches, fallback, shards }: OwnFigures): readonly CacheLine[] {
  const line = (kind: CacheKind, all: Readonly<Record<string, CacheFigures>>): CacheLine[] =>
    Object.entries(all).map(([name, figures]) => ({ id: `${kind}/${name}`, kind, name, figures }));
  return [...line('cache', caches), ...line('fallback', fallback.caches), ...line('sharded', shards.caches)];
}

/** 0 closed, 1 on its way back, 2 open; of the worst node. */
export function breakerOf({ connections }: Pick<OwnFigures, 'connections'>): number {
  const nodes = Object.values(connections).flatMap((connection) => connection.nodes);
  const views = nodes.flatMap(({ breaker }) => [breaker.reads, breaker.writes]);
  return Math.max(0, ...views.map((view) => BREAKER_RANK[view] ?? 0));
}

/** 1 up, 0.5 degraded, 0 down; of the worst connection. A shard that is away is a part, unless it is the last one. */
export function upOf({ connections, shards }: Pick<OwnFigures, 'connections' | 'shards'>): number {
  const each = Object.values(shards.shards);
  const reached = each.map(({ health }) => UP[health] ?? 0);
  const isWhole = reached.every((up) => up === 1) && !each.some(({ state }) => AWAY.has(state));
  const ofShards = isWhole ? 1 : Math.min(0.5, Math.max(...reached));
  return Math.min(1, ofShards, ...Object.values(connections).map(({ health }) => UP[health] ?? 0));
}
