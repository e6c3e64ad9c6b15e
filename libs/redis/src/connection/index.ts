export { causeOf, commandOf, onCalls, type CallListener, type FinishedCall } from './finished-call.js';
export {
  leftoverRule,
  leftoverScript,
  toVerdict,
  type CleanupRule,
  type CleanupSight,
  type CleanupVerdict,
  type LeftoverArgs,
} from './cleanup-rule.js';
export {
  BackpressureError,
  CommandRefusedError,
  CommandTimeoutError,
  ConnectFailedError,
  ConnectionClosedError,
  NotConnectedError,
  OutcomeUnknownError,
  RedisReplyError,
  type Executed,
} from './connection.errors.js';
export {
  CONNECTION_DEFAULTS,
  resolveConnection,
  topologyOf,
  type Address,
  type ConnectionOptions,
  type EmbeddedOptions,
  type PasswordSource,
  type PoolOptions,
  type ReadFrom,
  type ResolvedConnection,
  type ResolvedSentinel,
  type TlsOptions,
} from './connection.options.js';
export { createAdapter, createClient, type ClientSurroundings } from './create-client.js';
export { keySlot, SLOT_COUNT, tagSlot } from './key-slot.js';
export { escapeSegment, toKey, type Key } from './key.js';
export {
  clusterParams,
  connectionParams,
  sentinelParams,
  taskConnections,
  type ClusterParams,
  type NativeRedis,
  type TaskConnections,
} from './native-client.js';
export { PassingClient } from './passing-client.js';
export {
  RedisAdapter,
  type ListenOptions,
  type NativeClient,
  type SetOptions,
  type Ttl,
  type WriteOptions,
} from './redis-adapter.js';
export { replyItems, replyText, type Arg, type Reply } from './reply.js';
export type {
  BreakerView,
  CallOptions,
  ClientEvents,
  ClientStatus,
  Message,
  NodeState,
  NodeStatus,
  PipelineCommand,
  PipelineResult,
  RedisClient,
  ScanOptions,
  ScanPage,
  SubscribeOptions,
  Subscription,
  Topology,
  TrackOptions,
  Tracking,
  TrackingState,
} from './redis-client.js';
export { hashSetScript, incrementScript } from './redis-adapter.scripts.js';
export { escapeGlob } from './redis-glob.js';
export { ConnectionRegistry, DEFAULT_CONNECTION, UnknownConnectionError } from './registry.js';
export { ResilientClient } from './resilient-client.js';
export { READS_FROM_REPLICAS } from './tracking.js';
export { defineScript, type Script, type ScriptDefinition, type ScriptKeyspace } from './script.js';
