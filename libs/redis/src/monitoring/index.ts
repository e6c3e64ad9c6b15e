export {
  HealthMonitor,
  type ConnectionHealth,
  type HealthMonitorParts,
  type HealthPart,
  type HealthProbe,
  type HealthReport,
  type HealthState,
  type NodeHealth,
  type PartHealth,
} from './health.js';
export { RedisHealthModule, type RedisHealthModuleOptions } from './health.module.js';
export { RedisHealthIndicator, type RedisHealthDetails, type RedisHealthOptions } from './redis.health.js';
export { UNREADABLE_REASONS } from './metrics/catalogue-cache.js';
export { METRICS, type MetricName } from './metrics/catalogue.js';
export { eventSources } from './metrics/event-sources.js';
export { type MetricDefinition, type MetricGroup } from './metrics/metric.js';
export { type Meter, type MetricSource, type Snapshot } from './metrics/metric-source.js';
export { InvalidMetricsOptionsError, MetricConflictError } from './metrics/metrics.errors.js';
export {
  METRICS_DEFAULTS,
  resolveMetrics,
  type MetricsOptions,
  type ResolvedMetrics,
} from './metrics/metrics.options.js';
export { registerMetrics, type MetricRegistry } from './metrics/prom-registry.js';
export { RedisMetrics, type MetricFamily, type RedisMetricsParts } from './metrics/redis-metrics.js';
export { RedisMetricsModule, type RedisMetricsModuleOptions } from './metrics/redis-metrics.module.js';
export { HEALTH_DEFAULTS, resolveHealth, type HealthOptions, type HealthSettings } from './health.options.js';
export {
  linesTo,
  type FieldLogger,
  type FieldsPlace,
  type LineLogger,
  type LogFields,
} from './logs/log-lines.js';
export { isLevelLogged, openLines, writesJson } from './logs/nest.logger.js';
export { NamespaceSampler, type KeyPlace, type NamespaceSamplerParts } from './stats/namespace-sampler.js';
export { serverMemory } from './stats/server-memory.js';
export { InvalidStatsOptionsError } from './stats/stats.errors.js';
export { RedisStatsModule, type RedisStatsModuleOptions } from './stats/stats.module.js';
export {
  isUnknown,
  type Asked,
  type CacheFigures,
  type CacheReport,
  type ConnectionReport,
  type FallbackReport,
  type L1Report,
  type LimiterReport,
  type LocksReport,
  type MemoryShare,
  type NamespaceMemory,
  type NodeReport,
  type OwnFigures,
  type PubSubReport,
  type SampledMemory,
  type ServerMemory,
  type SessionsReport,
  type ShardReport,
  type ShardsReport,
  type StatsReport,
  type StatsSource,
  type TasksReport,
  type Unknown,
} from './stats/stats-report.js';
export { StatsService, type StatsServiceParts } from './stats/stats-service.js';
export { traceWithOpenTelemetry, type Tracing } from './tracing/record-spans.js';
