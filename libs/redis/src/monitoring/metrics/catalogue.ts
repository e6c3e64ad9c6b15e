/**
 * The one list of what is measured: providers, the table in docs/metrics.md, the boards and the alert rules are made
 * from it, and a test fails where one of them has a name that is not here.
 */
import { CACHE_METRICS } from './catalogue-cache.js';
import { CONNECTION_METRICS } from './catalogue-connection.js';
import { CLEANUP_METRICS, SERVICE_METRICS } from './catalogue-service.js';
import { METRIC_GROUPS, OPEN, OPEN_LABELS, type MetricDefinition, type MetricType } from './metric.js';

export const METRICS = [
  ...CONNECTION_METRICS,
  ...CACHE_METRICS,
  ...SERVICE_METRICS,
  ...CLEANUP_METRICS,
  {
    name: 'build_info',
    type: 'gauge',
    group: 'meta',
    help: '1, with what is running: the version of Node, and how the default connection reaches Redis.',
    labels: { node: OPEN, topology: ['standalone', 'cluster', 'sentinel', 'embedded'] },
    asMet: ['topology'],
    aggregator: 'first',
  },
  {
    name: 'label_overflow_total',
    type: 'counter',
    group: 'meta',
    help: 'Times a name was shown as other, because its label had as many values as it may have.',
    labels: { label: OPEN_LABELS },
  },
  {
    name: 'scrape_errors_total',
    type: 'counter',
    group: 'meta',
    help: 'Times the figures of a group could not be taken, or not in time: the last ones were given again.',
    labels: { source: METRIC_GROUPS },
  },
] as const satisfies readonly MetricDefinition[];

type Entry = (typeof METRICS)[number];

export type MetricName = Entry['name'];

type NameOf<Type extends MetricType> = Extract<Entry, { readonly type: Type }>['name'];

export type CounterName = NameOf<'counter'>;
export type GaugeName = NameOf<'gauge'>;
export type HistogramName = NameOf<'histogram'>;

type DomainsOf<Name extends MetricName> = Extract<Entry, { readonly name: Name }>['labels'];

/** A value for each label, of those the catalogue lists. */
export type LabelsOf<Name extends MetricName> = {
  readonly [Label in keyof DomainsOf<Name>]: DomainsOf<Name>[Label] extends readonly (infer Value)[]
    ? Value
    : string;
};
