/** Figures of several caches, added up. */
import type { CacheFigures } from './stats-report.js';

export function totalOf(all: readonly CacheFigures[]): CacheFigures {
  const add = (pick: (figures: CacheFigures) => number): number =>
    all.reduce((sum, figures) => sum + pick(figures), 0);
  const [l1, l2, fallback] = [
    add(({ tiers }) => tiers.l1),
    add(({ tiers }) => tiers.l2),
    add(({ tiers }) => tiers.fallback),
  ];
  const [stale, reads] = [add((each) => each.stale), add((each) => each.reads)];
  return {
    hitRate: reads === 0 ? 0 : (l1 + l2 + fallback + stale) / reads,
    reads,
    tiers: { l1, l2, fallback },
    stale,
    negative: add((each) => each.negative),
    misses: add((each) => each.misses),
    loads: add((each) => each.loads),
    loadFailures: add((each) => each.loadFailures),
    coalesced: add((each) => each.coalesced),
    refusedFills: add((each) => each.refusedFills),
    unstorable: add((each) => each.unstorable),
    bypassed: add((each) => each.bypassed),
    writes: add((each) => each.writes),
    failedWrites: add((each) => each.failedWrites),
    failures: add((each) => each.failures),
  };
}
