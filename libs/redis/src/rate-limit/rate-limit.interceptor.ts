/** The limits that need to know who calls, after all guards, and the places held while the handler runs. */
import {
  Inject,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  type Provider,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { defer, finalize, from, mergeMap, tap, type Observable } from 'rxjs';
import { CallPlace, whenAnswered } from './call-place.js';
import { denial, RateLimitGuard } from './rate-limit.guard.js';
import { rulesOfRoute } from './rate-limit.metadata.js';
import { RouteLimits } from './route-limits.js';

/** `@RateLimit` brings it along where a rule needs it. */
@Injectable()
export class RateLimitInterceptor implements NestInterceptor {
  readonly #routes: RouteLimits;

  constructor(@Inject(RouteLimits) routes: RouteLimits) {
    this.#routes = routes;
  }

  intercept(
    context: ExecutionContext,
    next: CallHandler,
  ): Observable<unknown> | Promise<Observable<unknown>> {
    return this.#routes.holdsPlaces(context, 'after-auth', rulesOfRoute)
      ? this.#holding(context, next)
      : this.#counting(context, next);
  }

  async #counting(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const decision = await this.#routes.check(context, 'after-auth', rulesOfRoute);
    if (decision?.allowed === false) throw await denial(context, decision);
    return next.handle();
  }

  /** Whoever stands further out may give up at any moment, and only who has subscribed is told of that. */
  #holding(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return defer(() => {
      const place = new CallPlace();
      const end = (): void => place.end();
      return from(this.#take(context, place)).pipe(
        mergeMap(() => next.handle()),
        tap({ error: end }),
        finalize(() => {
          // What the handler has returned may be a stream, of which nothing has left yet.
          if (context.getType() === 'http') whenAnswered(context.getArgByIndex<object>(1), end);
          else end();
        }),
      );
    });
  }

  async #take(context: ExecutionContext, place: CallPlace): Promise<void> {
    const decision = await this.#routes.check(context, 'after-auth', rulesOfRoute);
    if (decision?.allowed === false) throw await denial(context, decision);
    if (decision !== undefined) place.keep(decision);
  }
}

/**
 * Providers that put the limits before every route of the application, those of `rateLimit.limits` included, in
 * both phases.
 * ```ts
 * @Module({ imports: [RedisModule.forRoot({ rateLimit: { limits: [{ limit: 100 }] } })], providers: rateLimitEverywhere() })
 * ```
 */
export function rateLimitEverywhere(): Provider[] {
  return [
    { provide: APP_GUARD, useClass: RateLimitGuard },
    {
      provide: APP_INTERCEPTOR,
      inject: [RouteLimits],
      useFactory: (routes: RouteLimits) => {
        routes.interceptedEverywhere();
        return new RateLimitInterceptor(routes);
      },
    },
  ];
}
