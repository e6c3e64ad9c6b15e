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
import { finalize, type Observable } from 'rxjs';
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

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const decision = await this.#routes.check(context, 'after-auth', rulesOfRoute);
    if (decision === undefined) return next.handle();
    if (!decision.allowed) throw await denial(context, decision);
    return next.handle().pipe(finalize(() => void decision.release()));
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
