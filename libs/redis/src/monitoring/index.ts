export {
  HealthMonitor,
  type ConnectionHealth,
  type HealthMonitorParts,
  type HealthPart,
  type HealthReport,
  type HealthState,
  type NodeHealth,
  type PartHealth,
} from './health.js';
export { RedisHealthModule, type RedisHealthModuleOptions } from './health.module.js';
export { RedisHealthIndicator, type RedisHealthDetails, type RedisHealthOptions } from './redis.health.js';
export { HEALTH_DEFAULTS, resolveHealth, type HealthOptions, type HealthSettings } from './health.options.js';
