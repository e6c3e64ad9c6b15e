export { abortReason, sleep, systemClock, type Clock, type SleepOptions, type Timer } from './clock.js';
export { DeadlineExceededError, withDeadline, type DeadlineOptions } from './deadline.js';
export {
  InvalidDurationError,
  isDuration,
  parseDuration,
  parsePositiveDuration,
  type Duration,
  type DurationUnit,
} from './duration.js';
export {
  isRedisModuleError,
  RedisModuleError,
  safeCause,
  safeMessage,
  type RedisModuleErrorOptions,
} from './error.js';
export { batchesOf, inBatches } from './in-batches.js';
export { CLOCK, NAMESPACE } from './injected.js';
export { MissingPeerError, optionalPeer } from './optional-peer.js';
export { SingleFlight } from './single-flight.js';
export {
  recordSpans,
  spans,
  type RunningSpan,
  type SpanOrigin,
  type SpanPlan,
  type SpanRecorder,
} from './spans.js';
export {
  onTelemetry,
  telemetryChannel,
  TELEMETRY_PREFIX,
  type TelemetryChannel,
  type TelemetryEvent,
} from './telemetry.js';
