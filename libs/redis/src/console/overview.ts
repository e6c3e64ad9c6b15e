/** What one process shows of itself: the answers of the API that need nobody else. */
import { hostname } from 'node:os';
import type { CacheFigures } from '../monitoring/index.js';
import type { CacheKind } from './console.source.js';
import { rounded, STEP_MS } from './history.js';
import { breakerOf, cachesOf, upOf, type CacheLine } from './figures.js';
import { SERIES, type Sampler, type SeriesName } from './sampler.js';

export interface ProcessView {
  /** Of this run of the process. */
  readonly id: string;
  readonly pid: number;
  readonly host: string;
  readonly uptimeMs: number;
  readonly heapBytes: number;
  readonly node: string;
}

interface Recent {
  readonly requests: number;
  /** Null without a request. */
  readonly hitRate: number | null;
  readonly loads: number;
}

export interface CacheView extends CacheFigures {
  readonly id: string;
  readonly kind: CacheKind;
  readonly name: string;
  /** Copies in this process; null where they are not counted apart. */
  readonly l1: { readonly entries: number; readonly bytes: number } | null;
  /** Of the last 5 minutes, and of the last hour; null for a cache that is not followed, as too many others are. */
  readonly recent: Recent | null;
  readonly hour: Recent | null;
  /** Hit rate of the last 10 minutes by half minutes, oldest first; empty where nothing is known. */
  readonly trend: readonly (number | null)[];
}

export type SeriesView = Readonly<Partial<Record<SeriesName, readonly (number | null)[]>>>;

const FIVE_MINUTES = 300_000 / STEP_MS;
const HOUR = 3_600_000 / STEP_MS;
const TREND = 20;
const PER_TREND = 30_000 / STEP_MS;
const MOST_CACHES = 500;

export function processView(id: string): ProcessView {
  return {
    id,
    pid: process.pid,
    host: hostname(),
    uptimeMs: Math.round(process.uptime() * 1_000),
    heapBytes: process.memoryUsage().heapUsed,
    node: process.versions.node,
  };
}

/** Those that were 0 throughout are left out. */
export function seriesView({ history }: Sampler, points: number): SeriesView {
  const all = SERIES.map((name) => [name, history.read(name, points)] as const);
  return Object.fromEntries(all.filter(([, values]) => values.some((value) => value !== 0)));
}

export function stateView(sampler: Sampler): object {
  const { connections, shards, fallback, l1, limiter, locks, pubsub } = sampler.reading;
  const { caches: _caches, ...mode } = fallback;
  return {
    up: upOf({ connections, shards }),
    breaker: breakerOf({ connections }),
    connections,
    shards: Object.fromEntries(
      Object.entries(shards.shards).map(([id, { state, health }]) => [id, { state, health }]),
    ),
    fallback: mode,
    l1,
    limiter,
    locks,
    pubsub,
    server: sampler.server ?? null,
  };
}

/** Worst first: what was asked for lately and missed most; then what is not followed, and last what nobody asks for. */
export function cachesView(sampler: Sampler): readonly CacheView[] {
  const { caches } = sampler.reading;
  return cachesOf(sampler.reading)
    .map((line) => cacheView(sampler, line, line.kind === 'cache' ? (caches[line.name]?.l1 ?? null) : null))
    .toSorted(worseFirst)
    .slice(0, MOST_CACHES);
}

function cacheView(sampler: Sampler, { id, kind, name, figures }: CacheLine, l1: CacheView['l1']): CacheView {
  const silent = figures.reads === 0;
  const isKnown = silent || sampler.knows(id);
  const recent = isKnown ? recentOf(sampler, id, FIVE_MINUTES) : null;
  return {
    ...figures,
    hitRate: rounded(figures.hitRate),
    id,
    kind,
    name,
    l1,
    recent,
    hour: silent || !isKnown ? recent : recentOf(sampler, id, HOUR),
    trend: silent || !isKnown ? [] : trendOf(sampler, id),
  };
}

function recentOf({ caches }: Sampler, id: string, steps: number): Recent {
  const requests = caches.sum(`${id}:requests`, steps);
  const hits = caches.sum(`${id}:hits`, steps);
  const loads = caches.sum(`${id}:loads`, steps);
  return { requests, hitRate: requests === 0 ? null : rounded(hits / requests), loads };
}

function trendOf({ caches }: Sampler, id: string): (number | null)[] {
  const requests = caches.read(`${id}:requests`, TREND * PER_TREND);
  const hits = caches.read(`${id}:hits`, TREND * PER_TREND);
  const groups = Math.ceil(requests.length / PER_TREND);
  return Array.from({ length: groups }, (_, group) => {
    const end = requests.length - (groups - 1 - group) * PER_TREND;
    const sum = (values: readonly (number | null)[]): number =>
      values.slice(Math.max(0, end - PER_TREND), end).reduce<number>((all, value) => all + (value ?? 0), 0);
    const asked = sum(requests);
    return asked === 0 ? null : rounded(sum(hits) / asked);
  });
}

function worseFirst(one: CacheView, other: CacheView): number {
  const [a, b] = [one.recent, other.recent];
  return (
    orderOf(a) - orderOf(b) ||
    (a?.hitRate ?? 1) - (b?.hitRate ?? 1) ||
    (b?.requests ?? 0) - (a?.requests ?? 0) ||
    other.reads - one.reads
  );
}

function orderOf(recent: Recent | null): number {
  if (recent === null) return 1;
  return recent.requests === 0 ? 2 : 0;
}
