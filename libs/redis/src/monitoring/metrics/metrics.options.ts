/** What of the figures is given out, and under which names. */
import { parsePositiveDuration, type Duration } from '../../core/index.js';
import { METRIC_GROUPS, type MetricGroup } from './metric.js';
import { InvalidMetricsOptionsError } from './metrics.errors.js';

export interface MetricsOptions {
  /** In front of every name; two modules in one process need two. @default 'anbar_' */
  readonly prefix?: string | undefined;
  /** `false` leaves a group out, and what only it is listened to for. @default all of them */
  readonly groups?: Readonly<Partial<Record<MetricGroup, boolean>>> | undefined;
  /** So many values a label may have; all further ones are shown as `other`. @default 64 */
  readonly labelLimit?: number | undefined;
  /** Figures that have to be asked for are waited for so long; then the last ones are given again. @default '250ms' */
  readonly timeout?: Duration | undefined;
}

export interface ResolvedMetrics {
  readonly prefix: string;
  readonly groups: ReadonlySet<MetricGroup>;
  readonly labelLimit: number;
  readonly timeoutMs: number;
}

export const METRICS_DEFAULTS = {
  prefix: 'anbar_',
  labelLimit: 64,
  timeout: '250ms',
} as const satisfies MetricsOptions;

const PREFIX = /^[a-zA-Z_][a-zA-Z0-9_]*$/u;
const MOST_VALUES = 10_000;

export function resolveMetrics(options: MetricsOptions = {}): ResolvedMetrics {
  const { prefix = METRICS_DEFAULTS.prefix, labelLimit = METRICS_DEFAULTS.labelLimit, groups = {} } = options;
  if (!PREFIX.test(prefix)) {
    throw new InvalidMetricsOptionsError(`metrics.prefix: '${prefix}' can not begin a name`, {
      hint: "letters, digits and _, no digit first, for example 'shop_'",
    });
  }
  if (!Number.isInteger(labelLimit) || labelLimit < 1 || labelLimit > MOST_VALUES) {
    throw new InvalidMetricsOptionsError(
      `metrics.labelLimit: ${String(labelLimit)} is not a whole number from 1 to ${MOST_VALUES}`,
    );
  }
  const unknown = Object.keys(groups).find((name) => !METRIC_GROUPS.some((group) => group === name));
  if (unknown !== undefined) {
    throw new InvalidMetricsOptionsError(`metrics.groups: there is no group '${unknown}'`, {
      hint: `there are: ${METRIC_GROUPS.join(', ')}`,
    });
  }
  return {
    prefix,
    labelLimit,
    groups: new Set(METRIC_GROUPS.filter((group) => group === 'meta' || groups[group] !== false)),
    timeoutMs: parsePositiveDuration(options.timeout ?? METRICS_DEFAULTS.timeout, 'metrics.timeout'),
  };
}
