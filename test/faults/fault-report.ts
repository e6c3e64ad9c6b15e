/** What one subject made of one row, counted from the records of its calls, and the gates that ours has to pass. */
import type { LoopPulse } from './loop-pulse.js';
import { HANGS_AFTER_MS, type CallRecord } from './steady-load.js';
import type { SubjectKind } from './subject.js';

/** The default deadline of a call, and what is allowed on top of it. */
const DEADLINE_MS = 250;
const ALLOWANCE_MS = 50;

/** What is asked of ours in one row. */
export interface Expectations {
  readonly row: string;
  readonly title: string;
  /** Keys may be gone afterwards (an empty restart, a failover): a miss is then no wrong answer. @default false */
  readonly mayLose?: boolean;
  /** Milliseconds from the end of the fault, or the election, to service without failures. */
  readonly recoverWithin?: number;
  /** Calls that may fail. @default any number */
  readonly maxFailed?: number;
  /** Calls with a deadline of their own make the longest call say nothing. @default false */
  readonly ownDeadlines?: boolean;
  /** Gates of this row beside those that hold for all: what is broken, as sentences. */
  judge?(report: FaultReport): readonly string[];
}

export interface FaultReport {
  readonly row: string;
  readonly title: string;
  readonly subject: SubjectKind;
  readonly ok: number;
  readonly failed: number;
  readonly wrong: number;
  readonly hung: number;
  /** From the injection to the first call that failed; `undefined` when none did. */
  readonly detectMs: number | undefined;
  /** From the end of the fault to service without failures; `undefined` when it never came. */
  readonly recoverMs: number | undefined;
  readonly longestMs: number;
  /** The longest call without the time this process's event loop stood still under it. */
  readonly longestNetMs: number;
  readonly longestWhat: string;
  readonly twice: number;
  /** Acknowledged writes that are gone. */
  readonly lost: number;
  /** Failed writes that were executed all the same, and how many of them said they were not. */
  readonly executedUnheard: number;
  readonly lied: number;
  readonly unhandled: number;
  readonly leaks: number;
  readonly stallMs: number;
  /** Failed calls by code. */
  readonly codes: Readonly<Record<string, number>>;
  readonly facts: Readonly<Record<string, number>>;
}

export interface Observed {
  readonly records: readonly CallRecord[];
  readonly pulse: LoopPulse;
  readonly injectedAt: number;
  readonly healthyFrom: number;
  /** How often each write was executed, as the servers have it; `undefined` when they keep nothing. */
  readonly traces: ReadonlyMap<string, number> | undefined;
  readonly unhandled: number;
  readonly leaks: number;
  readonly facts: Readonly<Record<string, number>>;
}

export function makeReport(row: Expectations, subject: SubjectKind, seen: Observed): FaultReport {
  const now = performance.now();
  const { records } = seen;
  const took = (record: CallRecord): number => (record.end === -1 ? now : record.end) - record.start;
  const hangs = (record: CallRecord): boolean => took(record) > HANGS_AFTER_MS && row.ownDeadlines !== true;
  const quick = records.filter((record) => !hangs(record));
  const count = (outcome: CallRecord['outcome']): number =>
    quick.filter((record) => record.outcome === outcome).length;
  return {
    row: row.row,
    title: row.title,
    subject,
    ok: count('ok'),
    failed: count('failed'),
    wrong: records.filter(({ outcome }) => outcome === 'wrong').length,
    hung: records.filter(hangs).length + (row.ownDeadlines === true ? count('pending') : 0),
    detectMs: detection(records, seen.injectedAt),
    recoverMs: recovery(records, seen, hangs),
    ...longest(records, seen.pulse, took),
    ...writes(records, seen.traces),
    unhandled: seen.unhandled,
    leaks: seen.leaks,
    stallMs: seen.pulse.longest,
    codes: tally(records.filter(({ outcome }) => outcome === 'failed').map(({ code }) => code)),
    facts: seen.facts,
  };
}

function detection(records: readonly CallRecord[], injectedAt: number): number | undefined {
  const failures = records.filter((record) => record.outcome === 'failed' && record.end >= injectedAt);
  if (failures.length === 0) return undefined;
  return Math.min(...failures.map((record) => record.end)) - injectedAt;
}

function recovery(
  records: readonly CallRecord[],
  { healthyFrom }: Observed,
  hangs: (record: CallRecord) => boolean,
): number | undefined {
  const isBad = (record: CallRecord): boolean => record.outcome !== 'ok' || hangs(record);
  let lastBad = -Infinity;
  for (const record of records) if (isBad(record)) lastBad = Math.max(lastBad, record.start);
  let firstGood = Infinity;
  for (const record of records) {
    if (record.outcome === 'ok' && record.start > lastBad) firstGood = Math.min(firstGood, record.end);
  }
  return firstGood === Infinity ? undefined : Math.max(0, firstGood - healthyFrom);
}

function longest(
  records: readonly CallRecord[],
  pulse: LoopPulse,
  took: (record: CallRecord) => number,
): { longestMs: number; longestNetMs: number; longestWhat: string } {
  let longestMs = 0;
  let longestNetMs = 0;
  let longestWhat = '';
  for (const record of records) {
    const ms = took(record);
    longestMs = Math.max(longestMs, ms);
    if (ms <= longestNetMs) continue;
    const net = ms - pulse.stalledWithin(record.start, record.start + ms);
    if (net <= longestNetMs) continue;
    longestNetMs = net;
    longestWhat = `${record.what} ${record.code || record.outcome}`;
  }
  return { longestMs, longestNetMs, longestWhat };
}

function writes(
  records: readonly CallRecord[],
  traces: ReadonlyMap<string, number> | undefined,
): { twice: number; lost: number; executedUnheard: number; lied: number } {
  const totals = { twice: 0, lost: 0, executedUnheard: 0, lied: 0 };
  for (const record of records) {
    if (record.trace === undefined || traces === undefined) continue;
    const times = traces.get(record.trace) ?? 0;
    if (times > 1) totals.twice += times - 1;
    if (record.outcome === 'ok' && times === 0) totals.lost += 1;
    if (record.outcome !== 'failed' || times === 0) continue;
    totals.executedUnheard += 1;
    if (record.saidNotExecuted) totals.lied += 1;
  }
  return totals;
}

function tally(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

/** The gates of ours that do not hold, as sentences; none means passed. */
export function brokenGates(row: Expectations, report: FaultReport): string[] {
  const limit = DEADLINE_MS + ALLOWANCE_MS;
  const { recoverWithin, maxFailed } = row;
  const gates: [boolean, string][] = [
    [report.hung === 0, `${report.hung} calls hung`],
    [report.wrong === 0, `${report.wrong} wrong answers`],
    [report.twice === 0, `${report.twice} writes executed twice`],
    [report.lied === 0, `${report.lied} writes executed that were said not to be`],
    [report.unhandled === 0, `${report.unhandled} unhandled rejections`],
    [report.leaks === 0, `${report.leaks} errors or statuses held a planted secret`],
    [row.mayLose === true || report.lost === 0, `${report.lost} acknowledged writes lost`],
    [
      row.ownDeadlines === true || report.longestNetMs <= limit,
      `longest call ${Math.round(report.longestNetMs)} ms (${report.longestWhat}), allowed ${limit} ms`,
    ],
    [
      recoverWithin === undefined || (report.recoverMs !== undefined && report.recoverMs <= recoverWithin),
      `recovery took ${report.recoverMs === undefined ? 'for ever' : `${Math.round(report.recoverMs)} ms`}, allowed ${recoverWithin} ms`,
    ],
    [
      maxFailed === undefined || report.failed <= maxFailed,
      `${report.failed} calls failed, allowed ${maxFailed}`,
    ],
  ];
  const broken = gates.filter(([holds]) => !holds).map(([, sentence]) => sentence);
  return [...broken, ...(row.judge?.(report) ?? [])];
}
