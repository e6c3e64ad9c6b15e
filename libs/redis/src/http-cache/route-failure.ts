/**
 * How the failure of a handler reaches those who waited for its answer. In this process they are given the very error;
 * to other processes an error travels as a name, a message and a code, so the status has to stand in the code, or a
 * `503` of one would be a `500` of all others.
 */

const CODE = /^HTTP_(?<status>5\d\d)$/u;
const SERVER_ERROR = 500;

class RouteFailure extends Error {
  readonly code: string;

  constructor(original: Error, status: number) {
    super(original.message, { cause: original });
    this.name = original.name;
    this.code = `HTTP_${status}`;
  }
}

const CLIENT_GONE = 'HTTP_CLIENT_GONE';

/** The client has left, and the handler has given up for that: nobody else's request has failed. */
export function clientGone(error: unknown): Error {
  const reason = new Error('the client whose request made the answer has left', { cause: error });
  return Object.assign(reason, { code: CLIENT_GONE });
}

export function isClientGone(failure: unknown): boolean {
  return failure instanceof Error && Reflect.get(failure, 'code') === CLIENT_GONE;
}

/** What is thrown without a status becomes a 500. */
export function isServerError(error: unknown): boolean {
  return (statusOf(error) ?? SERVER_ERROR) >= SERVER_ERROR;
}

/** What a load fails with when a handler has failed. */
export function failureOf(error: unknown): Error {
  const status = statusOf(error);
  if (error instanceof Error) return status === undefined ? error : new RouteFailure(error, status);
  return new Error('the handler has thrown something that is no error', { cause: error });
}

/** What a request is answered with when the load it waited for has failed. */
export function errorOf(failure: unknown): unknown {
  if (failure instanceof RouteFailure) return failure.cause;
  if (!(failure instanceof Error)) return failure;
  const code: unknown = Reflect.get(failure, 'code');
  const status = typeof code === 'string' ? CODE.exec(code)?.groups?.['status'] : undefined;
  if (status === undefined) return failure;
  return Object.assign(new Error(failure.message, { cause: failure }), asHttpError(Number(status)));
}

/** As `http-errors` makes them, which Nest answers as they stand. The message was made for clients by who threw it. */
function asHttpError(status: number): { status: number; statusCode: number; expose: true } {
  return { status, statusCode: status, expose: true };
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const getStatus: unknown = Reflect.get(error, 'getStatus');
  if (typeof getStatus !== 'function') return undefined;
  const status: unknown = Reflect.apply(getStatus, error, []);
  return typeof status === 'number' ? status : undefined;
}
