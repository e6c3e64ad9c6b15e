/** What the parent tells a process that serves, and what it answers. */
import type { RedisModuleOptions } from '@anbar/nestjs-redis';

export type Platform = 'express' | 'fastify';

/** What the handler does from now on: it answers or fails, at once or when it is told to. */
export interface HandlerPlan {
  readonly ends: 'answers' | 'fails';
  /** Milliseconds, or until the parent says so. */
  readonly after: number | 'the word';
}

export interface ServeOrder {
  readonly kind: 'serve';
  readonly platform: Platform;
  readonly options: RedisModuleOptions;
}

export type Order =
  | ServeOrder
  | { readonly kind: 'handler'; readonly plan: HandlerPlan }
  /** Handlers may end. */
  | { readonly kind: 'release' }
  | { readonly kind: 'count' };

export type Word =
  | { readonly kind: 'ready' }
  | { readonly kind: 'serving'; readonly url: string }
  | { readonly kind: 'told' }
  /** The handler has been called. */
  | { readonly kind: 'running' }
  /** Since the last plan: calls of the handler, and requests that wait, or have waited, for one of them. */
  | { readonly kind: 'counted'; readonly runs: number; readonly joined: number };
