/** Limits per user, set per endpoint, before anything of a route runs. */
import { Inject, Injectable, type NestMiddleware } from '@nestjs/common';
import { CallPlace, whenAnswered } from './call-place.js';
import type { RateDecision } from './decision.js';
import { problemOf } from './problem.js';
import { RateLimitCall } from './rate-limit-call.js';
import { RouteLimits, setHeaders } from './route-limits.js';

/** What of Node's request and response is used; Express and the middleware of Fastify both hand them over. */
interface IncomingRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly originalUrl?: string | undefined;
}

interface OutgoingResponse {
  statusCode: number;
  end(body: string): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/**
 * ```ts
 * RedisModule.forRoot({ rateLimit: { endpoints: { 'POST /login': { limit: 5 }, '*': { limit: 100, by: 'user' } } } })
 * consumer.apply(RateLimitMiddleware).forRoutes('*path');
 * ```
 */
@Injectable()
export class RateLimitMiddleware implements NestMiddleware<IncomingRequest, OutgoingResponse> {
  readonly #routes: RouteLimits;

  constructor(@Inject(RouteLimits) routes: RouteLimits) {
    this.#routes = routes;
  }

  async use(
    request: IncomingRequest,
    response: OutgoingResponse,
    next: (error?: unknown) => void,
  ): Promise<void> {
    const url = request.originalUrl ?? request.url ?? '/';
    const planned = this.#routes.endpointRules(request.method ?? 'GET', url);
    if (planned.rules.length === 0) {
      next();
      return;
    }
    const call = new RateLimitCall({ kind: 'http', request, response }, this.#routes.addresses);
    const place = planned.holdsPlaces ? new CallPlace() : undefined;
    // A client that leaves while the limits are asked is heard of only by who listens already.
    if (place !== undefined) whenAnswered(response, () => place.end());
    let decision: RateDecision | undefined;
    try {
      decision = await this.#routes.apply(planned, call);
    } catch (error) {
      next(error);
      return;
    }
    if (decision?.allowed === false) {
      refuse(response, decision);
      return;
    }
    if (decision === undefined || place === undefined || place.keep(decision)) next();
  }
}

function refuse(response: OutgoingResponse, decision: RateDecision): void {
  const problem = problemOf(decision);
  response.statusCode = problem.status;
  setHeaders(response, [['Content-Type', 'application/problem+json']]);
  response.end(JSON.stringify(problem));
}
