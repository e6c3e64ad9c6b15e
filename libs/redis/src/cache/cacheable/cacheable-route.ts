/**
 * How a route handler that is `@Cacheable` meets what caches HTTP answers. The two rooms do not know each other's
 * insides: this one hands over what the decorator says, the other one answers.
 */
import type { Key } from '../../connection/index.js';
import type { CacheContract } from '../cache-contract.js';
import type { CacheableOptions } from './cacheable.options.js';
import type { LoadOptions } from '../call.options.js';

/** Nest's own names for what chooses between routes besides the URL: a version, or what Fastify is told to look at. */
const VERSION = '__version__';
const CONSTRAINTS = '__fastify_route_constraints__';

/** The last argument of a cached handler when Nest calls it: the explorer asks Nest for it. */
export class RouteCall {
  /** Nest's execution context. */
  readonly context: object;

  constructor(context: object) {
    this.context = context;
  }
}

/** What is known of a route before anybody asks. */
export interface CachedRoute {
  readonly cache: CacheContract;
  /** See `routeName`: two routes never share an answer. */
  readonly route: string;
  readonly options: CacheableOptions<never>;
  readonly load: LoadOptions;
  /** In place of path and query. */
  readonly key: Key | undefined;
  /** Judged only once it is known that the answer may be cached; throws when the call lacks a context. */
  readonly within: (request: unknown) => RouteContext;
}

export interface RouteQuestion extends CachedRoute {
  /** Nest's execution context. */
  readonly context: object;
  /** The handler, which the answer is made by. */
  readonly run: () => unknown;
}

export interface RouteContext {
  readonly segments: readonly string[];
  readonly tags: readonly string[];
  /** One of the segments is the user. */
  readonly namesUser: boolean;
}

/** Answers requests out of the cache, or by running the handler. What it returns is what the handler returns. */
export interface RouteAnswers {
  answer(question: RouteQuestion): unknown;
}

/** `label` is class and method, which two routes at one URL may have in common. */
export function routeName(label: string, type: object, handler: object): string {
  const version: unknown = Reflect.getMetadata(VERSION, handler) ?? Reflect.getMetadata(VERSION, type);
  const constraints = (Reflect.getMetadata(CONSTRAINTS, handler) ?? {}) as Readonly<Record<string, unknown>>;
  const chosenBy = Object.entries(constraints).map(([name, value]) => `[${name}=${String(value)}]`);
  const versions = version === undefined ? '' : `@${[version].flat().map(String).join('+')}`;
  return `${label}${versions}${chosenBy.join('')}`;
}
