export { type ConnectionParams, TopologyMismatchError } from './driver-params.js';
export { ENVIRONMENT, type Env, type Variable, type VariableName } from './environment.js';
export { environmentTable } from './environment-table.js';
export { InvalidConfigError, type Fault } from './invalid-config.error.js';
export { RedisConfig } from './redis-config.js';
export {
  redisEnvironmentSchema,
  validateRedisEnvironment,
  type RedisEnvironment,
  type StandardIssue,
  type StandardResult,
  type StandardSchema,
} from './standard-schema.js';
