/**
 * The figures as guests of a registry of prom-client 15, or of `@prometheus-io/client`, whose registry asks metrics for
 * the same. Nothing of either is loaded: a metric is what has a name and answers `get()`, so that two copies of the
 * package in one application do no harm.
 */
import type { MetricName } from './catalogue.js';
import type { MetricFamily, RedisMetrics } from './redis-metrics.js';
import { MetricConflictError } from './metrics.errors.js';
import type { HistogramCell, Labels } from './series.js';

/** As much of a registry as is used. */
export interface MetricRegistry {
  registerMetric(metric: { get(): Promise<unknown> }): void;
  getSingleMetric(name: string): unknown;
  removeSingleMetric(name: string): void;
}

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
  readonly sharedLabels?: Labels;
}

/** What a registry asks a metric for. */
interface Shown {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  readonly values: readonly Sample[];
}

/** What a registry calls; `name` is changed by those that write OpenMetrics. */
interface ScrapedMetric {
  name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  readonly labelNames: readonly string[];
  get(): Promise<Shown>;
  /** For text; labels that all lines of a histogram share are written once. */
  getForPromString(): Promise<Shown>;
  /** Counts belong to what is measured: they are not set back. */
  reset(): void;
}

const OURS = new WeakSet<object>();

/** Metrics of a library that show these figures, by the names they were made with, which may have got a prefix. */
const GUESTS = new WeakMap<RedisMetrics, Map<string, object>>();

/**
 * ```ts
 * const remove = registerMetrics(registry, redis.metrics);
 * ```
 * @returns what takes them out again
 * @throws MetricConflictError when the registry has one of the names already
 */
export function registerMetrics(registry: MetricRegistry, metrics: RedisMetrics): () => void {
  const { families } = metrics;
  for (const { name } of families) assertFree(registry, name);
  metrics.start();
  const registered = families.map((family) => {
    const metric = scraped(metrics, family);
    OURS.add(metric);
    registry.registerMetric(metric);
    return [family.name, metric] as const;
  });
  return () => removeFrom(registry, registered);
}

export function assertFree(registry: MetricRegistry, name: string): void {
  const holder = registry.getSingleMetric(name);
  if (holder === undefined) return;
  const ours = typeof holder === 'object' && holder !== null && OURS.has(holder);
  throw new MetricConflictError(`the registry has a metric '${name}' already`, {
    hint: ours
      ? "it is of another RedisModule in this process: give this one a prefix of its own, metrics: { prefix: 'second_' }"
      : "somebody else made it: give this module another prefix, metrics: { prefix: 'redis_module_' }",
    details: { name },
  });
}

/** Makes a metric of the library show these figures instead of its own. */
export function showIn(metric: { name: string }, metrics: RedisMetrics, family: MetricFamily): void {
  OURS.add(metric);
  const guests = GUESTS.get(metrics) ?? new Map<string, object>();
  GUESTS.set(metrics, guests.set(metric.name, metric));
  Object.assign(metric, answersOf(metric, metrics, family));
}

/** Takes out what was made to show these figures. */
export function removeGuests(registry: MetricRegistry, metrics: RedisMetrics): void {
  removeFrom(registry, GUESTS.get(metrics) ?? []);
}

/** Under the name of one that was taken out before there may be somebody else's by now. */
function removeFrom(
  registry: MetricRegistry,
  metrics: Iterable<readonly [name: string, metric: object]>,
): void {
  for (const [name, metric] of metrics)
    if (registry.getSingleMetric(name) === metric) registry.removeSingleMetric(name);
}

function scraped(metrics: RedisMetrics, family: MetricFamily): ScrapedMetric {
  const { help, type, labels, aggregator = 'sum' } = family.definition;
  const about = { name: family.name, help, type, aggregator, labelNames: Object.keys(labels) };
  return Object.assign(about, answersOf(about, metrics, family));
}

type Answers = Pick<ScrapedMetric, 'get' | 'getForPromString' | 'reset'>;

/** Under the name that `self` has at that moment. */
function answersOf(self: { name: string }, metrics: RedisMetrics, { definition }: MetricFamily): Answers {
  const { help, type, aggregator = 'sum', buckets = [] } = definition;
  const shown = async (whole: boolean): Promise<Shown> => {
    await metrics.collect();
    const { cells, histograms } = metrics.family(definition.name as MetricName) ?? NOTHING;
    const values = [
      ...[...cells].map(({ labels, value }) => ({ labels, value })),
      ...[...histograms].flatMap((cell) => linesOf(self.name, buckets, cell, whole)),
    ];
    return { name: self.name, help, type, aggregator, values };
  };
  return { get: () => shown(true), getForPromString: () => shown(false), reset: () => undefined };
}

const NOTHING: Pick<MetricFamily, 'cells' | 'histograms'> = { cells: [], histograms: [] };

function linesOf(
  name: string,
  bounds: readonly number[],
  { labels, buckets, sum, count }: HistogramCell,
  whole: boolean,
): Sample[] {
  const line = (metricName: string, value: number, own: Readonly<Record<string, number | string>>): Sample =>
    whole
      ? { metricName, value, labels: { ...own, ...labels } }
      : { metricName, value, labels: own, sharedLabels: labels };
  let below = 0;
  const steps = bounds.map((bound, index) => {
    below += buckets[index] ?? 0;
    return line(`${name}_bucket`, below, { le: bound });
  });
  return [
    ...steps,
    line(`${name}_bucket`, count, { le: '+Inf' }),
    line(`${name}_sum`, sum, {}),
    line(`${name}_count`, count, {}),
  ];
}
