/** What a decorated method does when it is called. */
import { concat, defer, ignoreElements, isObservable, type Observable } from 'rxjs';
import type { Key } from '../../connection/index.js';
import { argumentsKey } from './cacheable-key.js';
import { boundTo, isWrapper, labelOf, type CachedMethod, type Constructor } from './cacheable-binding.js';
import { CacheableMethodError } from './cacheable.errors.js';
import type { CacheableOptions, CacheEvictOptions, CachePutOptions } from './cacheable.options.js';
import { RouteCall } from './cacheable-route.js';
import type { Cacheables, ContextCache } from './cacheables.js';
import type { LoadOptions } from '../call.options.js';

type Arguments = readonly unknown[];

/** One call of a decorated method. */
export class MethodCall {
  readonly method: CachedMethod;
  readonly instance: object;
  /** What the application has passed. */
  readonly args: Arguments;
  /** Set when Nest calls it as a route handler that the explorer has prepared. */
  readonly route: RouteCall | undefined;
  readonly #all: Arguments;

  constructor(method: CachedMethod, instance: object, args: Arguments) {
    const last = args.length === 0 ? undefined : args[args.length - 1];
    this.method = method;
    this.instance = instance;
    this.#all = args;
    this.route = last instanceof RouteCall ? last : undefined;
    this.args = this.route === undefined ? args : args.slice(0, -1);
  }

  get type(): Constructor {
    return this.instance.constructor as Constructor;
  }

  get label(): string {
    return labelOf(this.method, this.type);
  }

  /** Nest calls it, and takes whatever it returns. */
  get isHandler(): boolean {
    return this.method.handlers.has(this.type);
  }

  /** The method as it is written, or the next decorator below this one. */
  run(): unknown {
    const { original } = this.method;
    return Reflect.apply(original, this.instance, isWrapper(original) ? this.#all : this.args);
  }

  /** The method's result; refused when it is not a promise of one. */
  result(): Promise<unknown> {
    const returned = this.run();
    if (isThenable(returned)) return Promise.resolve(returned);
    if (isObservable(returned)) throw unfit(this.label, 'returns an Observable, which may have many values');
    if (this.isHandler) return Promise.resolve(returned);
    throw unfit(this.label, 'returned a value and not a promise of one');
  }
}

/** `@Cacheable`: the stored result, or the method's, which is stored. On a route its answer. */
export function callCached(call: MethodCall, options: CacheableOptions<never>, load: LoadOptions): unknown {
  const cacheables = boundTo(call.instance);
  if (cacheables === undefined || leftAside(options.when, call.args)) return call.run();
  if (call.route !== undefined) return answerRoute(call, { cacheables, options, load });
  // A route handler that other code calls is a method like any other, and nothing of it is a stored answer.
  if (call.method.routes.has(call.type)) return call.run();
  try {
    return cachedResult(call, cacheables.cache(options.cache), { options, load });
  } catch (error) {
    return Promise.reject(error);
  }
}

function cachedResult(
  call: MethodCall,
  cache: ContextCache,
  { options, load }: { options: CacheableOptions<never>; load: LoadOptions },
): Promise<unknown> {
  const { unless, tags } = options;
  const key = cache.key(keyOf(call, options.key));
  return cache.plain.getOrSet<unknown>(
    key,
    async (context) => {
      const result = await call.result();
      if (unless !== undefined && applied(unless, [result, ...call.args])) context.skip();
      return result;
    },
    tags === undefined ? load : { ...load, tags: cache.tags(tagsOf(tags, call.args)) },
  );
}

function answerRoute(
  call: MethodCall,
  parts: { cacheables: Cacheables; options: CacheableOptions<never>; load: LoadOptions },
): unknown {
  const { cacheables, options, load } = parts;
  if (cacheables.routes === undefined || call.route === undefined) return call.run();
  const cache = cacheables.cache(options.cache);
  return cacheables.routes.answer({
    context: call.route.context,
    cache: cache.plain,
    route: call.method.routes.get(call.type) ?? call.label,
    options,
    load,
    key: options.key === undefined ? undefined : keyOf(call, options.key),
    within: (request) => cache.routeContext(tagsOf(options.tags ?? [], call.args), request),
    run: () => call.run(),
  });
}

/** `@CachePut`: the method always runs, and its result replaces what is stored. */
export async function callAndPut(call: MethodCall, options: CachePutOptions<never>): Promise<unknown> {
  const cacheables = boundTo(call.instance);
  if (cacheables === undefined || leftAside(options.when, call.args)) return call.run();
  const cache = cacheables.cache(options.cache).asOfNow();
  const key = keyOf(call, options.key);
  const result = await call.result();
  if (options.unless !== undefined && applied(options.unless, [result, ...call.args])) return result;
  await cache.set(key, result, {
    ...(options.ttl === undefined ? {} : { ttl: options.ttl }),
    ...(options.tags === undefined ? {} : { tags: tagsOf(options.tags, call.args) }),
  });
  return result;
}

/** `@CacheEvict`: the method runs, and what it has changed is invalidated before its caller goes on. */
export async function callAndEvict(call: MethodCall, options: CacheEvictOptions<never>): Promise<unknown> {
  const cacheables = boundTo(call.instance);
  if (cacheables === undefined || leftAside(options.when, call.args)) return call.run();
  const cache = cacheables.cache(options.cache).asOfNow();
  if (options.beforeInvocation === true) {
    await evict(call, cache, options);
    return call.run();
  }
  const evictAfterwards = async (): Promise<void> => {
    try {
      await evict(call, cache, options);
    } catch (error) {
      if (options.onError !== 'warn') throw error;
      const problem = error instanceof Error ? error.message : 'unknown';
      cacheables.warn(`${call.label}: what it changed was not invalidated: ${problem}`);
    }
  };
  const returned = call.run();
  if (isObservable(returned)) return evictedOnCompletion(call, returned, evictAfterwards);
  const result = await returned;
  await evictAfterwards();
  return result;
}

/** Its work begins when Nest subscribes; and only Nest takes an Observable out of a promise. */
function evictedOnCompletion(
  call: MethodCall,
  returned: Observable<unknown>,
  evictAfterwards: () => Promise<void>,
): Observable<unknown> {
  if (!call.isHandler) throw unfit(call.label, 'returns an Observable, whose work nobody has waited for');
  return concat(returned, defer(evictAfterwards).pipe(ignoreElements()));
}

async function evict(
  call: MethodCall,
  cache: ContextCache,
  options: CacheEvictOptions<never>,
): Promise<void> {
  const { key, tags, prefix, all } = options;
  await Promise.all([
    key === undefined ? undefined : cache.delete(keyOf(call, key)),
    tags === undefined ? undefined : cache.invalidateTags(tagsOf(tags, call.args)),
    prefix === undefined ? undefined : cache.deletePrefix(applied(prefix, call.args) as Key),
    all === true ? cache.flush() : undefined,
  ]);
}

type Callback = (...args: never) => unknown;

/** What is escaped in a segment. */
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const SEPARATES = /[%:{}\u0000-\u001f\u007f]/u;

function keyOf(call: MethodCall, key: Callback | undefined): Key {
  if (key !== undefined) return applied(key, call.args) as Key;
  const { label } = call;
  const text = argumentsKey(call.args, label);
  // The same key in either form; one that is a string already is known from the last time.
  return SEPARATES.test(text) || SEPARATES.test(label) ? [label, text] : `${label}:${text}`;
}

function tagsOf(tags: Callback | readonly string[], args: Arguments): readonly string[] {
  return typeof tags === 'function' ? (applied(tags, args) as readonly string[]) : tags;
}

/** The decorator's types have seen to it that the function takes what the method takes. */
function applied(callback: Callback, args: Arguments): unknown {
  return (callback as (...args: Arguments) => unknown)(...args);
}

function leftAside(when: Callback | undefined, args: Arguments): boolean {
  return when !== undefined && applied(when, args) === false;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'then') === 'function';
}

function unfit(label: string, problem: string): CacheableMethodError {
  return new CacheableMethodError(`${label} ${problem}`, {
    hint: 'make the method async; a value that is at hand at once needs no cache',
    details: { method: label },
  });
}
