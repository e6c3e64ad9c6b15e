/** The model of the race hunt: what a read may answer, given what was acknowledged before it began. */
import type { HuntReport } from './orders.js';

export interface Verdict {
  readonly operations: number;
  readonly reads: number;
  readonly hits: number;
  readonly l1Hits: number;
  readonly acknowledged: number;
  readonly loads: number;
  readonly refusedFills: number;
  readonly failures: number;
  /** Reads that answered what was before an invalidation acknowledged before they began. */
  readonly stale: number;
  /** How long after the acknowledgement they began, in milliseconds. */
  readonly lagP99Ms: number;
  readonly worstMs: number;
  /** Stale for longer than tolerated, or in the very process that had invalidated. */
  readonly violations: number;
  /** Stale for longer than tolerated, but not if the time is left out in which the reader's process stood still. */
  readonly lateByStall: number;
  /** The longest any process stood still, in milliseconds. */
  readonly stallMs: number;
}

interface Floor {
  readonly at: number;
  readonly version: number;
  /** Index of the report. */
  readonly writer: number;
}

interface StaleRead {
  readonly reader: number;
  readonly startedAt: number;
  readonly broken: Floor;
}

/** `toleranceMs`: how long a process may still answer what another one has invalidated. */
export function judge(reports: readonly HuntReport[], toleranceMs = 0): Verdict {
  const { reads, hits, stale } = staleReads(reports);
  const lags = stale.map(lagOf).toSorted((a, b) => a - b);
  const late = stale.filter((read) => isOwn(read) || lagOf(read) > toleranceMs * 1_000);
  const excused = late.filter((read) => {
    const stalled = stalledBetween(reports[read.reader]?.stalls ?? [], read.broken.at, read.startedAt);
    return toleranceMs > 0 && !isOwn(read) && lagOf(read) - stalled <= toleranceMs * 1_000;
  });
  return {
    operations: sum(reports, (each) => each.operations),
    reads,
    hits,
    l1Hits: sum(reports, (each) => each.l1Hits),
    acknowledged: sum(reports, (each) => each.acknowledged.length / 3),
    loads: sum(reports, (each) => each.loads),
    refusedFills: sum(reports, (each) => each.refusedFills),
    failures: sum(reports, (each) => each.failures),
    stale: stale.length,
    lagP99Ms: (lags[Math.ceil(lags.length * 0.99) - 1] ?? 0) / 1_000,
    worstMs: (lags.at(-1) ?? 0) / 1_000,
    violations: late.length - excused.length,
    lateByStall: excused.length,
    stallMs: Math.max(0, ...reports.map(({ stalls }) => longestOf(stalls))) / 1_000,
  };
}

function lagOf({ startedAt, broken }: StaleRead): number {
  return startedAt - broken.at;
}

function isOwn({ reader, broken }: StaleRead): boolean {
  return reader === broken.writer;
}

function staleReads(reports: readonly HuntReport[]): { reads: number; hits: number; stale: StaleRead[] } {
  const floors = floorsOf(reports);
  const stale: StaleRead[] = [];
  let hits = 0;
  let reads = 0;
  for (const [reader, report] of reports.entries()) {
    for (let i = 0; i < report.reads.length; i += 3) {
      const [key = 0, startedAt = 0, version = -1] = report.reads.slice(i, i + 3);
      reads += 1;
      if (version === -1) continue;
      hits += 1;
      const broken = firstFloorAbove(floors.get(key) ?? [], version);
      if (broken !== undefined && broken.at < startedAt) stale.push({ reader, startedAt, broken });
    }
  }
  return { reads, hits, stale };
}

/** A key has one writer, so its versions are acknowledged in their order. */
function floorsOf(reports: readonly HuntReport[]): ReadonlyMap<number, readonly Floor[]> {
  const floors = new Map<number, Floor[]>();
  for (const [writer, { acknowledged }] of reports.entries()) {
    for (let i = 0; i < acknowledged.length; i += 3) {
      const [key = 0, at = 0, version = 0] = acknowledged.slice(i, i + 3);
      const known = floors.get(key);
      if (known === undefined) floors.set(key, [{ at, version, writer }]);
      else known.push({ at, version, writer });
    }
  }
  return floors;
}

/** The earliest acknowledgement that forbids this version; by halves, since versions rise. */
function firstFloorAbove(floors: readonly Floor[], version: number): Floor | undefined {
  let low = 0;
  let high = floors.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((floors[middle]?.version ?? 0) > version) high = middle;
    else low = middle + 1;
  }
  return floors[low];
}

function stalledBetween(stalls: readonly number[], from: number, to: number): number {
  let total = 0;
  for (let i = 0; i < stalls.length; i += 2) {
    const [begin = 0, end = 0] = stalls.slice(i, i + 2);
    total += Math.max(0, Math.min(end, to) - Math.max(begin, from));
  }
  return total;
}

function longestOf(stalls: readonly number[]): number {
  let longest = 0;
  for (let i = 0; i < stalls.length; i += 2)
    longest = Math.max(longest, (stalls[i + 1] ?? 0) - (stalls[i] ?? 0));
  return longest;
}

function sum(reports: readonly HuntReport[], pick: (report: HuntReport) => number): number {
  return reports.reduce((total, report) => total + pick(report), 0);
}
