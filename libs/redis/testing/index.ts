export { createChaosClient, type ChaosClient, type ChaosOptions } from './chaos-client.js';
export { cacheServiceContract } from './contract/cache/cache-service.contract.js';
export {
  runContract,
  type Contract,
  type ContractCase,
  type ContractResult,
  type ContractRunner,
  type ContractTarget,
  type ContractTools,
} from './contract/contract.js';
export { lockServiceContract } from './contract/lock/lock-service.contract.js';
export { rateLimiterContract } from './contract/rate-limit/rate-limiter.contract.js';
export type { RateLimitSubject } from './contract/rate-limit/subject.js';
export { pubSubContract } from './contract/pubsub/pubsub.contract.js';
export { createRandom, type Random } from './contract/random.js';
export { redisAdapterContract } from './contract/redis-adapter.contract.js';
export { redisClientContract } from './contract/redis-client.contract.js';
export {
  scriptContract,
  type DrawInput,
  type ScriptContractOptions,
  type ScriptInput,
} from './contract/script.contract.js';
export { FakeClock, type FakeClockOptions } from './fake-clock.js';
export type { Fault } from './faults.js';
export { knownDivergences, type KnownDivergence } from './keyspace-model/known-divergences.js';
export { randomCommand, type RandomCommand } from './keyspace-model/random-commands.js';
export { sessionServiceContract } from './contract/session/session-service.contract.js';
export type { Account, SessionSubject } from './contract/session/subject.js';
export { taskQueueContract, type TaskQueueSubject } from './contract/tasks/task-queue.contract.js';
export { overrideRedis, RedisTestingModule, type OverridableModule } from './redis-testing.module.js';
export { TestClock } from './test-clock.js';
export { TestRedis, type FaultOptions, type RedisFaults, type RedisTestingOptions } from './test-redis.js';
