/** What a test and the process that serves limited routes say to each other. */
import type { RateLimiterStats } from '@anbar/nestjs-redis';

export interface RouteSettings {
  readonly url: string;
  /** How many processes share the limits; each of them counts its part while Redis is away. */
  readonly replicas: number;
}

export type RouteWord =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'stats'; readonly stats: RateLimiterStats };

/** What each route says of a Redis that is away; the limit of the first one is small enough to be felt. */
export const OUTAGE_LIMIT = { limit: 40, window: '1s' } as const;
