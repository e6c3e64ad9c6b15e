/** What the parent tells its processes, and what they answer. */
import type { RedisModuleOptions } from '@anbar/nestjs-redis';

/** A fence that is left out on purpose, to see that the hunt notices; the latter two are those of the near cache. */
export type Mutation = 'fill-without-lease' | 'tags-unread' | NearMutation;
type NearMutation = 'announcements-late' | 'interruptions-unheard';

export type Order =
  | {
      readonly kind: 'open';
      readonly options: RedisModuleOptions;
      readonly cacheName: string;
      readonly lease: string;
    }
  | { readonly kind: 'hunt'; readonly plan: HuntPlan }
  | { readonly kind: 'stampede'; readonly plan: StampedePlan }
  /** Disconnects and lets go of the parent: nothing should keep the process alive then. */
  | { readonly kind: 'leave' };

export interface HuntPlan {
  readonly seed: number;
  /** Which of the processes this is: it alone writes its keys. */
  readonly index: number;
  readonly processes: number;
  readonly keys: number;
  /** The longest between two invalidations of one process; some follow at once. */
  readonly pauseMs: number;
  readonly forMs: number;
  readonly mutation: Mutation | undefined;
}

/** Times are microseconds of the machine's monotonic clock, which all its processes share. */
export interface HuntReport {
  readonly operations: number;
  /** Flat triples: key, when the read began, version it was answered (-1 for a miss). */
  readonly reads: readonly number[];
  /** Flat triples: key, when the invalidation was acknowledged, version that was in the origin before it. */
  readonly acknowledged: readonly number[];
  /** Flat pairs: from when to when the process did not get to run. */
  readonly stalls: readonly number[];
  readonly l1Hits: number;
  readonly loads: number;
  readonly refusedFills: number;
  readonly failures: number;
}

export interface StampedePlan {
  readonly callers: number;
  readonly loadMs: number;
  readonly fails: boolean;
  /** The first loader of the fleet never ends: its process is there to be killed. */
  readonly firstHangs: boolean;
  readonly key: string;
}

export interface StampedeReport {
  readonly calls: number;
  readonly answers: readonly string[];
  /** Errors as `name|message|code`. */
  readonly errors: readonly string[];
  /** From the order to the last answer. */
  readonly tookMs: number;
}

export type Word =
  | { readonly kind: 'ready' }
  | { readonly kind: 'loading' }
  /** With what still holds the process, as Node names it. */
  | { readonly kind: 'left'; readonly holding: readonly string[] }
  | { readonly kind: 'hunted'; readonly report: HuntReport }
  | { readonly kind: 'stampeded'; readonly report: StampedeReport };
