/** What the caches of all shards have counted, together. */
import type { CacheStats } from '../cache-stats.js';

export function addedStats(all: readonly CacheStats[]): CacheStats {
  const add = (pick: (stats: CacheStats) => number): number =>
    all.reduce((sum, stats) => sum + pick(stats), 0);
  const counts = {
    l1Hits: add((each) => each.l1Hits),
    l2Hits: add((each) => each.l2Hits),
    fallbackHits: add((each) => each.fallbackHits),
    stale: add((each) => each.stale),
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
  const hits = counts.l1Hits + counts.l2Hits + counts.fallbackHits + counts.stale;
  const reads = hits + counts.misses;
  return { ...counts, hitRate: reads === 0 ? 0 : hits / reads };
}
