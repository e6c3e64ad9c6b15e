/** What calls to Redis can fail with, by a name: the errors the clients themselves throw. */
import {
  BackpressureError,
  CommandTimeoutError,
  NotConnectedError,
  OutcomeUnknownError,
  RedisReplyError,
} from '../src/connection/index.js';

export type Fault =
  /** No answer within the deadline; nothing has happened. */
  | 'timeout'
  /** There is no connection. */
  | 'connection'
  /** A write was sent and its answer never came. */
  | 'unknown-outcome'
  /** More calls in flight than the client may hold. */
  | 'backpressure'
  /** Redis is full, and evicts nothing. */
  | 'oom'
  /** The server is a replica. */
  | 'readonly'
  /** The server has just started and reads its data. */
  | 'loading'
  /** The user may not do that. */
  | 'forbidden';

const MAKERS: Readonly<Record<Fault, (message: string) => Error>> = {
  timeout: (message) => new CommandTimeoutError(message),
  connection: (message) => new NotConnectedError(message),
  'unknown-outcome': (message) => new OutcomeUnknownError(message),
  backpressure: (message) => new BackpressureError(message),
  oom: () => new RedisReplyError("OOM command not allowed when used memory > 'maxmemory'."),
  readonly: () => new RedisReplyError("READONLY You can't write against a read only replica."),
  loading: () => new RedisReplyError('LOADING Redis is loading the dataset in memory'),
  forbidden: () => new RedisReplyError('NOPERM this user has no permissions to run this command'),
};

export function faultOf(fault: Fault | Error): Error {
  if (fault instanceof Error) return fault;
  const make: ((message: string) => Error) | undefined = MAKERS[fault];
  if (make !== undefined) return make(`${fault}, by order of the test`);
  throw new RangeError(`fail: '${fault}' is none of ${Object.keys(MAKERS).join(', ')}`);
}
