import { RedisModuleError } from '../../core/index.js';

export class InvalidMetricsOptionsError extends RedisModuleError {
  readonly code = 'INVALID_METRICS_OPTIONS';
}

/** The registry has a metric of that name already, which is not this module's. */
export class MetricConflictError extends RedisModuleError {
  readonly code = 'METRIC_CONFLICT';
}
