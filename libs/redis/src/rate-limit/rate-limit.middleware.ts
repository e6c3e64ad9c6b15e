/** Limits per user, set per endpoint, before anything of a route runs. */
import { Inject, Injectable, type NestMiddleware } from '@nestjs/common';
import { checkEndpoint } from './endpoint-check.js';
import { PROBLEM_TYPE } from './problem.js';
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

  use(request: IncomingRequest, response: OutgoingResponse, next: (error?: unknown) => void): void {
    const { method = 'GET', url = '/', originalUrl = url } = request;
    checkEndpoint(
      this.#routes,
      { method, url: originalUrl, request, response, raw: request },
      {
        pass: () => next(),
        fail: next,
        refuse: (status, problem) => {
          response.statusCode = status;
          setHeaders(response, [['Content-Type', PROBLEM_TYPE]]);
          response.end(problem);
        },
      },
    );
  }
}
