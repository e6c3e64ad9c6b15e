/** The error a caller gets, from what is known of its call: where it went, how often, and whether it may have run. */
import {
  BackpressureError,
  CommandTimeoutError,
  NotConnectedError,
  OutcomeUnknownError,
  RedisReplyError,
} from './connection.errors.js';
import type { Failure } from './failure.js';
import type { Request } from './request.js';

/** The last attempt failed and there will be no other. */
export function failedCall(request: Request, failure: Failure, client: string): Error {
  const node = request.carrier?.node ?? client;
  const details = { node, attempts: request.attempt };
  const refused = isReply(failure)
    ? new RedisReplyError(failure.message, { command: request.name, details })
    : undefined;
  if (request.uncertain && !request.readOnly) return unknownOutcome(request, failure.message, node, refused);
  if (refused !== undefined) return refused;
  if (failure.kind === 'not-connected') {
    return new NotConnectedError(`${request.name}: no connection to ${node} (${failure.message})`, {
      hint: 'nothing was sent; the client keeps trying to connect on its own',
      details,
    });
  }
  return new NotConnectedError(`${request.name}: the connection to ${node} was lost (${failure.message})`, {
    hint: 'it was a read, so nothing has happened; the client keeps trying to connect on its own',
    details,
  });
}

/** The server does not have the script, and did nothing with this attempt; what it came to before is another matter. */
export function isScriptMissing(error: unknown): boolean {
  if (error instanceof OutcomeUnknownError) return isScriptMissing(error.cause);
  return error instanceof RedisReplyError && error.kind === 'NOSCRIPT';
}

function isReply({ kind }: Failure): boolean {
  return kind !== 'not-connected' && kind !== 'closed' && kind !== 'mismatch';
}

/** The deadline passed. */
export function lateCall(request: Request, client: string): Error {
  const node = request.carrier?.node ?? client;
  if (!request.readOnly && (request.uncertain || request.sentAt !== -1)) {
    return unknownOutcome(request, 'no answer in time', node);
  }
  const timeoutMs = Math.round(request.deadlineAt - request.startedAt);
  const phase = request.sentAt === -1 ? 'waiting for a connection' : 'waiting for the answer';
  return new CommandTimeoutError(`${request.name}: not done within ${timeoutMs} ms, still ${phase}`, {
    hint: 'status() tells the state of each node; `timeout` sets the limit per call or for the client',
    details: { timeoutMs, phase, node, attempts: request.attempt },
  });
}

/** There are too many calls in flight already. */
export function crowdedOut(request: Request, client: string): Error {
  const node = request.carrier?.node ?? client;
  return new BackpressureError(`${request.name}: too many calls in flight on ${node}`, {
    hint: 'the server is slower than the callers; raise pool.maxInFlight only if memory allows',
    details: { node },
  });
}

function unknownOutcome(request: Request, reason: string, node: string, cause?: Error): OutcomeUnknownError {
  return new OutcomeUnknownError(`${request.name}: sent to ${node}, outcome unknown (${reason})`, {
    hint: 'it may have been executed and was not sent again; read the state back, or make the step idempotent',
    details: { node, attempts: request.attempt },
    ...(cause === undefined ? {} : { cause }),
  });
}
