/** What a call to Redis can fail with. `executed` says whether the server may have run the command. */
import { RedisModuleError, type RedisModuleErrorOptions } from '../core/index.js';

/** `'no'`: it was certainly not run. `'unknown'`: it was sent, and the answer never came. */
export type Executed = 'no' | 'unknown';

/** The client was closed by `disconnect()`. */
export class ConnectionClosedError extends RedisModuleError {
  readonly code = 'CONNECTION_CLOSED';
  readonly executed: Executed;

  constructor(message: string, options: RedisModuleErrorOptions & { executed?: Executed } = {}) {
    super(message, options);
    this.executed = options.executed ?? 'no';
  }
}

/** There is no usable connection to the node, and the command was not sent. */
export class NotConnectedError extends RedisModuleError {
  readonly code = 'NOT_CONNECTED';
  readonly executed: Executed = 'no';
}

/** `connect: 'required'`, or an explicit `connect()`, did not get through in time. */
export class ConnectFailedError extends RedisModuleError {
  readonly code = 'CONNECT_FAILED';
}

/** The deadline passed. Reads, and writes that were never sent: nothing has happened on the server. */
export class CommandTimeoutError extends RedisModuleError {
  readonly code = 'COMMAND_TIMEOUT';
  readonly executed: Executed = 'no';
}

/** A write was sent and its answer never came: it may have been executed, and it was not sent again. */
export class OutcomeUnknownError extends RedisModuleError {
  readonly code = 'OUTCOME_UNKNOWN';
  readonly executed: Executed = 'unknown';
}

/** More calls in flight, or waiting for a connection, than the client was told to hold. */
export class BackpressureError extends RedisModuleError {
  readonly code = 'BACKPRESSURE';
  readonly executed: Executed = 'no';
}

/** The command would change the shared connection for everybody else, or harm other tenants of the server. */
export class CommandRefusedError extends RedisModuleError {
  readonly code = 'COMMAND_REFUSED';
  readonly executed: Executed = 'no';
}

/** Redis answered with an error. */
export class RedisReplyError extends RedisModuleError {
  readonly code = 'REDIS_REPLY';
  /** First word of the reply: `'WRONGTYPE'`, `'OOM'`, `'READONLY'`, `'ERR'` … */
  readonly kind: string;
  readonly executed: Executed = 'no';

  constructor(message: string, options: RedisModuleErrorOptions & { command?: string } = {}) {
    const { command, ...rest } = options;
    super(command === undefined ? message : `${command}: ${message}`, rest);
    this.kind = /^-?([A-Z][A-Z0-9]*)\b/u.exec(message)?.[1] ?? 'ERR';
  }
}
