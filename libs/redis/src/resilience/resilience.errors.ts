/** What this room throws. */
import { isRedisModuleError, RedisModuleError, safeMessage } from '../core/index.js';

/** What a refusal is about; everything a caller needs to decide between waiting and its fallback. */
export interface Refusal {
  /** What was not called: the name of a policy or of a node. */
  readonly what: string;
  readonly state: 'open' | 'half-open' | 'isolated';
  /** Why it opened. */
  readonly reason: string;
  /** Milliseconds until a call is let through again; `undefined` when no time decides about it. */
  readonly retryInMs: number | undefined;
  /** The failure before, when a retry was refused. */
  readonly cause?: unknown;
}

/** The call was not made: the breaker refused it. Nothing was sent, so trying elsewhere is always safe. */
export class CircuitOpenError extends RedisModuleError {
  readonly code = 'CIRCUIT_OPEN';
  readonly state: Refusal['state'];
  readonly reason: string;
  readonly retryInMs: number | undefined;

  constructor(refusal: Refusal) {
    const reason = safeMessage(refusal.reason);
    const { state, retryInMs } = refusal;
    super(`${refusal.what}: not called, ${describe(state, reason, retryInMs)}`, {
      hint: hintFor(state),
      cause: refusal.cause,
      details: { state, reason, retryInMs: retryInMs ?? null },
    });
    this.state = state;
    this.reason = reason;
    this.retryInMs = retryInMs;
  }
}

export function isCircuitOpenError(error: unknown): error is CircuitOpenError {
  return isRedisModuleError(error) && error.code === 'CIRCUIT_OPEN';
}

export class InvalidRetryOptionsError extends RedisModuleError {
  readonly code = 'INVALID_RETRY_OPTIONS';
}

function describe(state: Refusal['state'], reason: string, retryInMs: number | undefined): string {
  const texts: Readonly<Record<Refusal['state'], string>> = {
    open: `the circuit is open (${reason}); next try in ${Math.ceil(retryInMs ?? 0)} ms`,
    'half-open': `the circuit is half-open (${reason}) and its probes are under way`,
    isolated: `it is isolated (${reason})`,
  };
  return texts[state];
}

function hintFor(state: Refusal['state']): string {
  return state === 'isolated'
    ? 'it was taken out by hand and stays out until `restore()` is called'
    : 'use the fallback meanwhile; it recovers by itself once calls succeed again';
}
