/** Which failures of a call mean that Redis does not serve at the moment, and which of those it may have executed. */
import { isRedisModuleError } from '../../core/index.js';

/** What never got an answer, or was not even sent. A client that was closed on purpose is not among them. */
const LOST: ReadonlySet<unknown> = new Set([
  'NOT_CONNECTED',
  'COMMAND_TIMEOUT',
  'DEADLINE_EXCEEDED',
  'OUTCOME_UNKNOWN',
  'CIRCUIT_OPEN',
  'CONNECT_FAILED',
]);

/** Replies of a server that is there and does not do its work: it starts, fails over, or is cut off from its disk. */
const NOT_SERVING: ReadonlySet<unknown> = new Set([
  'LOADING',
  'BUSY',
  'CLUSTERDOWN',
  'MASTERDOWN',
  'MISCONF',
  'NOAUTH',
  'NOREPLICAS',
  'READONLY',
  'TRYAGAIN',
  'WRONGPASS',
]);

export function meansAway(error: unknown): boolean {
  if (!isRedisModuleError(error)) return false;
  if (error.code === 'REDIS_REPLY') return NOT_SERVING.has(Reflect.get(error, 'kind'));
  return LOST.has(error.code);
}

/** More calls at once than a connection takes: a load of this process, which says nothing about Redis. */
function isOverload(error: unknown): boolean {
  return isRedisModuleError(error) && error.code === 'BACKPRESSURE';
}

/** Redis can not be told now, and may be a little later. */
export function passes(error: unknown): boolean {
  return meansAway(error) || isOverload(error);
}

/** Redis has said no, or nothing, or was not asked for want of room. */
export function isOfRedis(error: unknown): boolean {
  return passes(error) || (isRedisModuleError(error) && error.code === 'REDIS_REPLY');
}

/** Sending it once more can not execute it twice. */
export function wasNotExecuted(error: unknown): boolean {
  if (!isRedisModuleError(error)) return false;
  return error.code === 'CIRCUIT_OPEN' || Reflect.get(error, 'executed') === 'no';
}

/** One line without secrets, for the state and for telemetry. */
export function reasonOf(error: unknown): string {
  return isRedisModuleError(error) ? error.message : 'a call failed';
}
