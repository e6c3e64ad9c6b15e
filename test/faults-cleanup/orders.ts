/** What a test and its processes say to each other. */
import type { CleanupProgress, CleanupReport } from '@anbar/nestjs-redis/cleanup';
import type { RedisModuleOptions } from '@anbar/nestjs-redis';

export interface RunOrder {
  readonly options: RedisModuleOptions;
  /** Only when it is due. */
  readonly ifDue: boolean;
}

export type Word =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly progress: CleanupProgress }
  | { readonly kind: 'done'; readonly report: CleanupReport };
