/** The limits that count before anybody is authenticated, and what a denial is in each kind of application. */
import { HttpException, Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { RateDecision } from './decision.js';
import { problemOf, type RateLimitProblem } from './problem.js';
import { rulesOfRoute } from './rate-limit.metadata.js';
import { RouteLimits, setHeader } from './route-limits.js';

/** A denied request: 429, or 503 where the limit could not be looked at. Its response is a problem of RFC 9457. */
export class RateLimitedException extends HttpException {
  readonly decision: RateDecision;

  constructor(decision: RateDecision, problem: RateLimitProblem = problemOf(decision)) {
    super({ ...problem }, problem.status);
    this.message = problem.detail;
    this.decision = decision;
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
    const checking = this.#routes.check(context, 'before-auth', rulesOfRoute);
    if (checking === undefined) return true;
    return checking.then(async (decision) => {
      if (decision?.allowed === false) throw await denial(context, decision);
      return true;
    });
  }
}

/** The exception the filters of this kind of application know. */
export async function denial(context: ExecutionContext, decision: RateDecision): Promise<Error> {
  const problem = problemOf(decision);
  const kind = context.getType<string>();
  if (kind === 'ws') return (await wsException(problem)) ?? new RateLimitedException(decision, problem);
  if (kind === 'rpc') return (await rpcException(problem)) ?? new RateLimitedException(decision, problem);
  if (kind === 'http') {
    setHeader(context.switchToHttp().getResponse<object>(), 'Content-Type', 'application/problem+json');
  }
  return withoutStack(() => new RateLimitedException(decision, problem));
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
