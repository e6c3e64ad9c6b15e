/** What one process tells the others of itself, and what all of them come to. */
import { hostname } from 'node:os';
import type { CacheKind } from './console.source.js';
import { rounded } from './history.js';
import { processView, type ProcessView, type SeriesView } from './overview.js';
import { breakerOf, cachesOf, upOf } from './figures.js';
import { SERIES, type Sampler, type SeriesName } from './sampler.js';

interface FleetCache {
  readonly kind: CacheKind;
  readonly name: string;
  /** Of the last 5 minutes. */
  readonly requests: number;
  readonly hits: number;
  readonly loads: number;
  /** Since the process began. */
  readonly reads: number;
  readonly misses: number;
  readonly stale: number;
  readonly coalesced: number;
}

export interface FleetReport {
  readonly process: ProcessView;
  readonly step: number;
  readonly up: number;
  readonly breaker: number;
  readonly mode: string;
  readonly series: SeriesView;
  readonly caches: readonly FleetCache[];
}

export interface FleetView {
  readonly processes: readonly (Omit<FleetReport, 'series' | 'caches'> & {
    readonly requests: number | null;
    readonly hitRate: number | null;
    readonly commands: number | null;
    readonly p99: number | null;
  })[];
  readonly step: number;
  readonly series: SeriesView;
  readonly caches: readonly (FleetCache & { readonly processes: number })[];
}

/** Ten minutes of the last hour: a message is to stay small. */
export const FLEET_POINTS = 120;
const MOST_CACHES = 100;
const LONGEST_NAME = 200;
const FIVE_MINUTES = 60;
const TOLD: readonly SeriesName[] = [
  'requests',
  'l1',
  'l2',
  'fallback',
  'stale',
  'misses',
  'loads',
  'commands',
  'commandErrors',
  'p50',
  'p99',
  'denied',
  'heapBytes',
];
/** Of several processes the worst one counts; everything else adds up. */
const WORST: ReadonlySet<string> = new Set<SeriesName>(['p50', 'p99', 'breaker']);

export function ownFleetReport(sampler: Sampler, id: string): FleetReport {
  const { reading, history } = sampler;
  const series = TOLD.map((name) => [name, history.read(name, FLEET_POINTS)] as const);
  const recent = (cache: string, what: string): number =>
    sampler.caches.sum(`${cache}:${what}`, FIVE_MINUTES);
  const caches = cachesOf(reading)
    .filter(({ id: cache, figures }) => figures.reads > 0 && sampler.knows(cache))
    .map(({ id: cache, kind, name, figures }) => ({
      kind,
      name,
      requests: recent(cache, 'requests'),
      hits: recent(cache, 'hits'),
      loads: recent(cache, 'loads'),
      reads: figures.reads,
      misses: figures.misses,
      stale: figures.stale,
      coalesced: figures.coalesced,
    }))
    .toSorted((one, other) => other.requests - one.requests || other.reads - one.reads)
    .slice(0, MOST_CACHES);
  return {
    process: processView(id),
    step: history.last,
    up: upOf(reading),
    breaker: breakerOf(reading),
    mode: reading.fallback.mode,
    series: Object.fromEntries(series.filter(([, values]) => values.some((value) => value !== 0))),
    caches,
  };
}

/** Processes count their steps by the wall clock; those of a clock that is off by more than the time shown are lost. */
export function mergeFleet(reports: readonly FleetReport[]): FleetView {
  const step = Math.max(-1, ...reports.map((report) => report.step));
  const names = SERIES.filter((name) => reports.some(({ series }) => series[name] !== undefined));
  const series = Object.fromEntries(names.map((name) => [name, mergeSeries(reports, name, step)])) as Record<
    SeriesName,
    (number | null)[]
  >;
  const requests = series.requests ?? [];
  const misses = series.misses ?? [];
  const hitRate = requests.map((asked, i) =>
    asked === null || asked === 0 ? null : rounded(1 - Math.min(1, (misses[i] ?? 0) / asked)),
  );
  return {
    processes: reports.map(summaryOf).toSorted((one, other) => one.up - other.up || nameOf(one, other)),
    step,
    series: { ...series, hitRate },
    caches: mergeCaches(reports),
  };
}

function mergeSeries(reports: readonly FleetReport[], name: SeriesName, step: number): (number | null)[] {
  const merged: (number | null)[] = Array.from({ length: FLEET_POINTS }, () => null);
  for (const report of reports) {
    const values = report.series[name] ?? [];
    values.forEach((value, i) => {
      const at = FLEET_POINTS - 1 - (step - report.step) - (values.length - 1 - i);
      if (value === null || at < 0 || at >= FLEET_POINTS) return;
      const before = merged[at] ?? null;
      merged[at] =
        before === null ? value : WORST.has(name) ? Math.max(before, value) : rounded(before + value);
    });
  }
  return merged;
}

function mergeCaches(reports: readonly FleetReport[]): FleetView['caches'] {
  const merged = new Map<string, FleetCache & { readonly processes: number }>();
  for (const cache of reports.flatMap(({ caches }) => caches)) {
    const id = `${cache.kind}/${cache.name}`;
    const before = merged.get(id);
    merged.set(id, before === undefined ? { ...cache, processes: 1 } : added(before, cache));
  }
  const rate = ({ hits, requests }: FleetCache): number => (requests === 0 ? 2 : hits / requests);
  return [...merged.values()].toSorted((one, other) => rate(one) - rate(other) || other.reads - one.reads);
}

function added(
  one: FleetCache & { readonly processes: number },
  other: FleetCache,
): FleetCache & { readonly processes: number } {
  return {
    ...one,
    requests: one.requests + other.requests,
    hits: one.hits + other.hits,
    loads: one.loads + other.loads,
    reads: one.reads + other.reads,
    misses: one.misses + other.misses,
    stale: one.stale + other.stale,
    coalesced: one.coalesced + other.coalesced,
    processes: one.processes + 1,
  };
}

function summaryOf({ series, caches: _caches, ...report }: FleetReport): FleetView['processes'][number] {
  const last = (name: SeriesName): number | null => series[name]?.at(-1) ?? null;
  const [requests, misses] = [last('requests'), last('misses') ?? 0];
  const hitRate = requests === null || requests === 0 ? null : rounded(1 - Math.min(1, misses / requests));
  return { ...report, requests, hitRate, commands: last('commands'), p99: last('p99') };
}

function nameOf(one: { process: ProcessView }, other: { process: ProcessView }): number {
  const text = ({ process: { host, pid } }: { process: ProcessView }): string => `${host} ${pid}`;
  return text(one).localeCompare(text(other));
}

/** Boundary: a message from elsewhere, of which nothing is taken that is not of the right kind. */
export function readFleetReport(message: unknown): FleetReport | undefined {
  const report = partsOf(message);
  const process = partsOf(report['process']);
  const id = textOf(process['id']);
  if (id === '') return undefined;
  return {
    process: {
      id,
      pid: numberOf(process['pid']),
      host: textOf(process['host']) || hostname(),
      uptimeMs: numberOf(process['uptimeMs']),
      heapBytes: numberOf(process['heapBytes']),
      node: textOf(process['node']),
    },
    step: numberOf(report['step']),
    up: numberOf(report['up']),
    breaker: numberOf(report['breaker']),
    mode: textOf(report['mode']),
    series: Object.fromEntries(
      TOLD.flatMap((name) => {
        const values = partsOf(report['series'])[name];
        return Array.isArray(values) ? [[name, values.slice(-FLEET_POINTS).map(pointOf)] as const] : [];
      }),
    ),
    caches: listOf(report['caches']).flatMap(cacheOf),
  };
}

function cacheOf(message: unknown): FleetCache[] {
  const parts = partsOf(message);
  const kind = (['cache', 'fallback', 'sharded'] as const).find((known) => known === parts['kind']);
  if (kind === undefined) return [];
  const figure = (name: keyof FleetCache): number => numberOf(parts[name]);
  return [
    {
      kind,
      name: textOf(parts['name']),
      requests: figure('requests'),
      hits: figure('hits'),
      loads: figure('loads'),
      reads: figure('reads'),
      misses: figure('misses'),
      stale: figure('stale'),
      coalesced: figure('coalesced'),
    },
  ];
}

function partsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, MOST_CACHES) : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, LONGEST_NAME) : '';
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function pointOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
