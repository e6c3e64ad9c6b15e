/** The limits that count before anybody is authenticated, and what a denial is in each kind of application. */
import { HttpException, Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { RateDecision } from './decision.js';
import { PROBLEM_TYPE, problemOf, type RateLimitProblem } from './problem.js';
import type { HeaderField } from './rate-headers.js';
import { rulesOfRoute } from './rate-limit.metadata.js';
import { RouteLimits, setHeaders, type Decided } from './route-limits.js';

/** A denied request: 429, or 503 where the limit could not be looked at. Its response is a problem of RFC 9457. */
export class RateLimitedException extends HttpException {
  readonly decision: RateDecision;

  constructor(decision: RateDecision, problem: RateLimitProblem = problemOf(decision)) {
    super(problem, problem.status);
    this.decision = decision;
  }

  /** Nest would make one of the name of the class. */
  override initMessage(): void {
    this.message = (this.getResponse() as RateLimitProblem).detail;
  }
}

/**
 * `@RateLimit` brings it along. As `APP_GUARD` it also applies `rateLimit.limits` to every route; see
 * `rateLimitEverywhere()`.
 */
@Injectable()
export class RateLimitGuard implements CanActivate {
  readonly #routes: RouteLimits;

  constructor(@Inject(RouteLimits) routes: RouteLimits) {
    this.#routes = routes;
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const checked = this.#routes.check(context, 'before-auth', rulesOfRoute);
    if (checked instanceof Promise) return checked.then((decision) => pass(context, decision));
    return pass(context, checked);
  }
}

/** A denial that is known at once is thrown at once. */
function pass(context: ExecutionContext, decision: Decided): boolean | Promise<boolean> {
  if (decision === undefined || decision.allowed) return true;
  const error = denial(context, decision);
  if (!(error instanceof Promise)) throw error;
  return error.then((its) => {
    throw its;
  });
}

const PROBLEM: readonly HeaderField[] = [['Content-Type', PROBLEM_TYPE]];

/** The exception the filters of this kind of application know. */
export function denial(context: ExecutionContext, decision: RateDecision): Error | Promise<Error> {
  const problem = problemOf(decision);
  const kind = context.getType<string>();
  const plain = (): Error => withoutStack(() => new RateLimitedException(decision, problem));
  if (kind === 'ws') return wsException(problem).then((error) => error ?? plain());
  if (kind === 'rpc') return rpcException(problem).then((error) => error ?? plain());
  if (kind === 'http') nameProblem(context.getArgByIndex<object>(1));
  return plain();
}

interface ExpressResponse {
  json: unknown;
  writeHead: (...head: unknown[]) => unknown;
  getHeader: (name: string) => unknown;
  setHeader: (name: string, value: string) => unknown;
}

/**
 * Before Nest 12 the adapter of Express gives every error that is an object the type of plain JSON, and logs a warning
 * for each. So on Express the type is told when the head is written, to whatever went out as JSON.
 */
function nameProblem(response: object): void {
  if (!isExpress(response)) {
    setHeaders(response, PROBLEM);
    return;
  }
  const { writeHead } = response;
  response.writeHead = (...head) => {
    const type = response.getHeader('Content-Type');
    if (typeof type === 'string' && type.startsWith('application/json')) {
      response.setHeader('Content-Type', type.replace('application/json', PROBLEM_TYPE));
    }
    return writeHead.apply(response, head);
  };
}

function isExpress(response: object): response is ExpressResponse {
  return 'json' in response && 'writeHead' in response && 'getHeader' in response;
}

/** A denial is no fault: where it came from tells nothing, and writing that down is most of what it costs. */
function withoutStack<T>(make: () => T): T {
  const frames = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = frames;
  }
}

/** Their filters know only their own exceptions; who has such a gateway has the package. */
async function wsException(problem: RateLimitProblem): Promise<Error | undefined> {
  try {
    const { WsException } = await import('@nestjs/websockets');
    return new WsException(problem);
  } catch {
    return undefined;
  }
}

async function rpcException(problem: RateLimitProblem): Promise<Error | undefined> {
  try {
    const { RpcException } = await import('@nestjs/microservices');
    return new RpcException(problem);
  } catch {
    return undefined;
  }
}
