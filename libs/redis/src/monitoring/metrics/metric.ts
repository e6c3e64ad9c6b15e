/** What a metric is, before any metrics library knows of it. */

/** A label whose values are configured names: how many there may be is bounded when they are met. */
export const OPEN = 'open';

/** All values a label can have, or {@link OPEN}. */
type LabelDomain = typeof OPEN | readonly string[];

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** What of several processes of one Node cluster is shown as one; `'first'` where all say the same. */
type MetricAggregator = 'sum' | 'min' | 'max' | 'first';

export const METRIC_GROUPS = [
  'connection',
  'command',
  'resilience',
  'cache',
  'loader',
  'l1',
  'codec',
  'shards',
  'ratelimit',
  'http',
  'session',
  'lock',
  'pubsub',
  'tasks',
  'cleanup',
  'meta',
] as const;

export type MetricGroup = (typeof METRIC_GROUPS)[number];

/** Labels that are {@link OPEN} somewhere. */
export const OPEN_LABELS = [
  'client',
  'command',
  'cache',
  'shard',
  'limit',
  'route',
  'reason',
  'key_id',
  'task',
  'rule',
  'node',
] as const;

export interface MetricDefinition {
  /** Without the prefix. */
  readonly name: string;
  readonly type: MetricType;
  readonly group: MetricGroup;
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelDomain>>;
  /** Closed labels whose values are shown once they turn up, and not from the beginning at 0. */
  readonly asMet?: readonly string[];
  /** Upper bounds, of histograms. */
  readonly buckets?: readonly number[];
  /** @default 'sum' */
  readonly aggregator?: MetricAggregator;
}

/** Seconds a call to Redis takes; the edges of OpenTelemetry, and finer ones below its first. */
export const CALL_SECONDS = [
  0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
] as const;

/** Seconds a loader, a task or a wait takes. */
export const WORK_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/** Seconds a walk over many keys takes. */
export const SCAN_SECONDS = [0.01, 0.1, 0.5, 1, 5, 15, 60, 300] as const;
