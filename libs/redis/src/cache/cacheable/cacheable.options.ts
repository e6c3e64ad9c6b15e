/** What the decorators take. Their functions are given the arguments of the method itself. */
import type { Key, Ttl } from '../../connection/index.js';
import { parseDuration, parsePositiveDuration, type Duration } from '../../core/index.js';
import { InvalidCacheOptionsError } from '../cache.errors.js';
import { ttlOf, type LoadTimeoutOptions } from '../cache.options.js';
import type { LoadOptions } from '../call.options.js';

interface CacheChoice<Args extends readonly unknown[]> {
  /** The named cache. @default 'default' */
  cache?: string | undefined;
  /** The cache is left aside when it returns `false`. */
  when?: ((...args: Args) => boolean) | undefined;
}

/** What counts on route handlers only. */
export interface RouteCacheOptions {
  /**
   * Whose answer it is: `'user'` keeps one for every principal, a function names them itself, and `'everyone'` says
   * that the answer is the same for all, with credentials or without. @default requests with credentials are not cached
   */
  by?: 'user' | 'everyone' | ((request: never) => string | undefined) | undefined;
  /** Request headers the answer depends on: they stand in the key and in `Vary`. */
  vary?: readonly string[] | undefined;
  /** Query parameters the answer depends on; a request with others is answered but never stored. @default all */
  query?: readonly string[] | undefined;
  /** Which answers are stored. @default [200, 203, 204] */
  statuses?: readonly number[] | undefined;
  /** Response headers that are stored besides those that describe the body. */
  headers?: readonly string[] | undefined;
  /** How long clients may use their copy without asking; this server can not invalidate it. @default '0s' */
  clientTtl?: Duration | undefined;
  /**
   * A hit from memory is answered before guards, interceptors and middleware that comes later: see `answerAtDoor`. Only
   * for answers that URL, host and the headers of `vary` decide. @default false
   */
  atDoor?: boolean | undefined;
  /** Proxies may keep it too: `Cache-Control: public`. Not together with `by`. @default false */
  public?: boolean | undefined;
}

export interface CacheableOptions<Args extends readonly unknown[] = readonly unknown[]>
  extends CacheChoice<Args>, RouteCacheOptions {
  /** @default class, method and the arguments; on a route its path and query */
  key?: ((...args: Args) => Key) | undefined;
  /** @default the cache's, as for all durations that follow */
  ttl?: Ttl | undefined;
  tags?: ((...args: Args) => readonly string[]) | readonly string[] | undefined;
  stale?: Duration | undefined;
  staleOnError?: Duration | undefined;
  negativeTtl?: Duration | undefined;
  timeout?: LoadTimeoutOptions | undefined;
  /** A result for which it returns `true` is handed over and not stored. */
  unless?: ((result: never, ...args: never[]) => boolean) | undefined;
}

export interface CachePutOptions<
  Args extends readonly unknown[] = readonly unknown[],
> extends CacheChoice<Args> {
  /** Without it the method's own key, which only a `@Cacheable` on the same method would read. */
  key: (...args: Args) => Key;
  ttl?: Ttl | undefined;
  tags?: ((...args: Args) => readonly string[]) | readonly string[] | undefined;
  unless?: ((result: never, ...args: never[]) => boolean) | undefined;
}

export interface CacheEvictOptions<
  Args extends readonly unknown[] = readonly unknown[],
> extends CacheChoice<Args> {
  key?: ((...args: Args) => Key) | undefined;
  tags?: ((...args: Args) => readonly string[]) | readonly string[] | undefined;
  /** Everything below these segments. */
  prefix?: ((...args: Args) => Key) | undefined;
  /** The whole cache; where it is kept by context, the part of this context. @default false */
  all?: boolean | undefined;
  /** Also when the method fails afterwards. @default false: after it has succeeded */
  beforeInvocation?: boolean | undefined;
  /** What a method does that has succeeded, when the invalidation fails. @default 'reject' */
  onError?: 'reject' | 'warn' | undefined;
}

/** The part `getOrSet` takes; typos throw here, where the decorator stands, and no text is read again for a hit. */
export function loadOptionsOf(options: CacheableOptions<never>): LoadOptions {
  const { ttl, stale, staleOnError, negativeTtl, timeout } = options;
  if (ttl !== undefined) ttlOf(ttl);
  if (options.atDoor === true) refuseAtDoor(options);
  // Every name, set or not: objects of one shape are copied and read faster, and that is done for every hit.
  return {
    ttl,
    stale: stale === undefined ? undefined : seconds(parseDuration(stale, 'stale')),
    staleOnError:
      staleOnError === undefined ? undefined : seconds(parseDuration(staleOnError, 'staleOnError')),
    negativeTtl:
      negativeTtl === undefined ? undefined : seconds(parsePositiveDuration(negativeTtl, 'negativeTtl')),
    timeout,
  };
}

function seconds(ms: number): number {
  return ms / 1_000;
}

/** At the door nobody knows who asks, nor what the method will be called with. */
function refuseAtDoor({ by, key, when }: CacheableOptions<never>): void {
  const other = key !== undefined ? 'key' : when !== undefined ? 'when' : 'by';
  if (other === 'by' && (by === undefined || by === 'everyone')) return;
  throw new InvalidCacheOptionsError(`atDoor: not together with \`${other}\``, {
    hint: 'leave one of them away; what is answered at the door depends on URL, host and the headers of `vary` alone',
  });
}
