/** Real servers for tests: the only door of this folder. */
export { admin, AdminReplyError, infoFields, type AdminTarget, type Reply } from './admin.js';
export type { CertificateFault } from './certificates.js';
export { unpackDebianProgram } from './debian-packages.js';
export { startCluster, type ClusterOptions, type ClusterTopology, type SlotMove } from './cluster.js';
export {
  startFaultProxy,
  type Direction,
  type FaultProxy,
  type FaultProxyOptions,
  type ProxyStats,
} from './fault-proxy.js';
export { RedisProcess, type RedisProcessOptions } from './redis-process.js';
export { seededRandom } from './seeded-random.js';
export { startSentinel, type Address, type SentinelOptions, type SentinelTopology } from './sentinel.js';
export { serverBinary, type ServerBinary } from './server-binary.js';
export { shared, type SharedKind, type SharedTopologies } from './shared.js';
export { startShards, type Shards } from './shards.js';
export { startStandalone, type Standalone, type StandaloneOptions, type TlsMaterial } from './standalone.js';
export { until, type UntilOptions } from './until.js';
