/** What parent and child say to each other. */
import type { Limit } from '@anbar/nestjs-redis';

export interface Order {
  readonly url: string;
  readonly seed: number;
  readonly subject: string;
  readonly limit: Limit;
  readonly ms: number;
  /** How many ask at the same time. */
  readonly callers: number;
}

export type Word =
  | { readonly kind: 'ready' }
  /** `times` are the server's, in microseconds, of those calls that ask it directly. */
  | {
      readonly kind: 'done';
      readonly allowed: number;
      readonly denied: number;
      readonly times: readonly number[];
    };
