/**
 * `CacheInterceptor` as `@nestjs/cache-manager` has it, with one difference: an answer to somebody who says who they
 * are is not kept under a key that all share, which is what an address is.
 */
import {
  Inject,
  Injectable,
  Logger,
  Optional,
  StreamableFile,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { HttpAdapterHost, Reflector } from '@nestjs/core';
import { of, tap, type Observable } from 'rxjs';
import {
  CACHE_KEY_METADATA,
  CACHE_TTL_METADATA,
  type CacheKeyFactory,
  type CacheTTLFactory,
} from './cache-manager.decorator.js';
import type { Cache } from './cache-manager.js';
import { CACHE_MANAGER } from './cache-manager.tokens.js';

interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

interface Adapter {
  getRequestUrl?(request: unknown): string;
  setHeader(response: unknown, name: string, value: string): unknown;
}

@Injectable()
export class CacheInterceptor implements NestInterceptor {
  protected readonly cacheManager: Cache;
  protected readonly reflector: Reflector;
  protected readonly httpAdapterHost: HttpAdapterHost | undefined;
  protected allowedMethods: string[] = ['GET'];
  readonly #logger = new Logger('CacheInterceptor');
  readonly #warned = new Set<string>();

  constructor(
    @Inject(CACHE_MANAGER) cacheManager: Cache,
    @Inject(Reflector) reflector: Reflector,
    @Optional() @Inject(HttpAdapterHost) httpAdapterHost?: HttpAdapterHost,
  ) {
    this.cacheManager = cacheManager;
    this.reflector = reflector;
    this.httpAdapterHost = httpAdapterHost;
  }

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const key = await this.trackBy(context);
    if (key === undefined || key === null || key === '') return next.handle();
    const found = await this.cacheManager.get(key);
    this.setHeadersWhenHttp(context, found);
    if (found !== undefined && found !== null) return of(found);
    const ttl = await this.#ttlOf(context);
    return next.handle().pipe(
      tap((answer) => {
        if (!(answer instanceof StreamableFile)) void this.#keep(key, answer, ttl);
      }),
    );
  }

  /** What the answer is kept under; nothing for one that is not kept. */
  protected trackBy(
    context: ExecutionContext,
  ): Promise<string | undefined | null> | string | undefined | null {
    const named = this.#metadata<string | CacheKeyFactory>(CACHE_KEY_METADATA, context.getHandler());
    if (named !== undefined) return typeof named === 'function' ? named(context) : named;
    const adapter = this.#adapter();
    if (adapter?.getRequestUrl === undefined || !this.isRequestCacheable(context)) return undefined;
    return adapter.getRequestUrl(context.getArgByIndex(0));
  }

  protected isRequestCacheable(context: ExecutionContext): boolean {
    const { method, headers } = context.switchToHttp().getRequest<HttpRequest>();
    if (!this.allowedMethods.includes(method)) return false;
    const says = ['authorization', 'cookie'].find((name) => headers[name] !== undefined);
    if (says !== undefined) this.#warnOf(context, says);
    return says === undefined;
  }

  protected setHeadersWhenHttp(context: ExecutionContext, value: unknown): void {
    const adapter = this.#adapter();
    if (adapter === undefined || context.getType() !== 'http') return;
    const hit = value !== undefined && value !== null;
    adapter.setHeader(context.switchToHttp().getResponse(), 'X-Cache', hit ? 'HIT' : 'MISS');
  }

  async #keep(key: string, answer: unknown, ttl: number | undefined): Promise<void> {
    try {
      await this.cacheManager.set(key, answer, ttl);
    } catch (error) {
      // Its text has neither the key nor the answer in it, which may be anybody's.
      this.#logger.error(
        `an answer could not be kept: ${error instanceof Error ? error.message : 'unknown error'}`,
      );
    }
  }

  async #ttlOf(context: ExecutionContext): Promise<number | undefined> {
    const ttl =
      this.#metadata<number | CacheTTLFactory>(CACHE_TTL_METADATA, context.getHandler()) ??
      this.#metadata<number | CacheTTLFactory>(CACHE_TTL_METADATA, context.getClass());
    return typeof ttl === 'function' ? ttl(context) : ttl;
  }

  #metadata<T>(name: string, target: Parameters<Reflector['get']>[1]): T | undefined {
    return this.reflector.get<T | undefined>(name, target) ?? undefined;
  }

  #adapter(): Adapter | undefined {
    return this.httpAdapterHost?.httpAdapter as Adapter | undefined;
  }

  #warnOf(context: ExecutionContext, header: string): void {
    const route = `${context.getClass().name}.${context.getHandler().name}`;
    if (this.#warned.has(route)) return;
    this.#warned.add(route);
    this.#logger.warn(
      `${route}: requests with '${header}' are not cached, as the key would be the same for everybody; ` +
        'name who it is for with @CacheKey((context) => …)',
    );
  }
}
