/**
 * Caches the answers of whole controllers, or of the application. What stands behind it (inner interceptors, pipes,
 * the handler) runs only to make an answer; guards and outer interceptors always run.
 */
import {
  Inject,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { from, lastValueFrom, type Observable } from 'rxjs';
import { Cacheables, isCachedRoute, loadOptionsOf, routeName, type LoadOptions } from '../cache/index.js';
import { HTTP_CACHE, type HttpCacheRoute } from './http-cache.decorator.js';

/** Nest's own names for routes that answer in another way than by what they return. */
const OTHER_ANSWERS = ['__sse__', '__redirect__', '__renderTemplate__'] as const;
const ROUTE_ARGS = '__routeArguments__';
const PASSTHROUGH = '__responsePassthrough__';

interface Plan {
  readonly route: string;
  readonly options: HttpCacheRoute;
  readonly load: LoadOptions;
}

@Injectable()
export class CacheInterceptor implements NestInterceptor {
  readonly #cacheables: Cacheables;
  readonly #plans = new WeakMap<object, Map<object, Plan | false>>();

  constructor(@Inject(Cacheables) cacheables: Cacheables) {
    this.#cacheables = cacheables;
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { routes } = this.#cacheables;
    if (routes === undefined || context.getType() !== 'http') return next.handle();
    const plan = this.#planOf(context);
    if (plan === false) return next.handle();
    const { route, options, load } = plan;
    const cache = this.#cacheables.cache(options.cache);
    const answered = routes.answer({
      context,
      cache: cache.plain,
      route,
      options,
      load,
      key: undefined,
      within: (request) => cache.routeContext(options.tags ?? [], request),
      run: () => lastValueFrom(next.handle(), { defaultValue: undefined }),
    });
    return from(Promise.resolve(answered));
  }

  #planOf(context: ExecutionContext): Plan | false {
    const handler = context.getHandler();
    const owner = context.getClass();
    // The same inherited method belongs to several controllers.
    const plans = this.#plans.get(handler) ?? new Map<object, Plan | false>();
    const known = plans.get(owner);
    if (known !== undefined) return known;
    const plan = planOf(handler, owner);
    this.#plans.set(handler, plans.set(owner, plan));
    return plan;
  }
}

function planOf(
  handler: object & { readonly name: string },
  type: new (...args: never) => object,
): Plan | false {
  // Its own decorator says more than this interceptor knows.
  if (isCachedRoute(type, handler.name)) return false;
  if (OTHER_ANSWERS.some((key) => Reflect.getMetadata(key, handler) !== undefined)) return false;
  if (answersItself(type, handler.name)) return false;
  const options = (Reflect.getMetadata(HTTP_CACHE, handler) ??
    Reflect.getMetadata(HTTP_CACHE, type) ??
    {}) as HttpCacheRoute | false;
  if (options === false) return false;
  const route = routeName(`${type.name}.${handler.name}`, type, handler);
  return { route, options, load: loadOptionsOf(options) };
}

function answersItself(type: object, name: string): boolean {
  const args = (Reflect.getMetadata(ROUTE_ARGS, type, name) ?? {}) as Readonly<Record<string, unknown>>;
  const handled = Object.keys(args).some((key) => key.startsWith('1:') || key.startsWith('2:'));
  return handled && Reflect.getMetadata(PASSTHROUGH, type, name) !== true;
}
