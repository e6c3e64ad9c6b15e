/** What the parent tells its processes, and what they answer. */
import type { RedisModuleOptions } from '@anbar/nestjs-redis';

/** A fence that is left out on purpose, to see that the hunt notices. */
export type Mutation = RemoteMutation | NearMutation;
type RemoteMutation = (typeof REMOTE_MUTATIONS)[number];
/** Of the near cache. */
type NearMutation = (typeof NEAR_MUTATIONS)[number];

export const REMOTE_MUTATIONS = [
  'fill-without-lease',
  'delete-keeps-lease',
  'set-keeps-lease',
  'clock-after-load',
  'tags-unread',
] as const;
export const NEAR_MUTATIONS = ['epoch-ignored', 'announcements-late', 'interruptions-unheard'] as const;

export const RIVALS = ['bentocache', 'cache-manager'] as const;
export type Rival = (typeof RIVALS)[number];
export type SubjectKind = 'ours' | Rival;

export interface OpenOrder {
  readonly kind: 'open';
  readonly subject: SubjectKind;
  /** Where the cache lies. Rivals take the `url` alone. */
  readonly options: RedisModuleOptions;
  /** The database behind the cache, another server: what happens to the cache's does not happen to it. */
  readonly originUrl: string;
  /** Of this run alone, so that nothing is left from the last one. */
  readonly cacheName: string;
  readonly lease: string;
  readonly mutation: Mutation | undefined;
}

export type Order =
  | OpenOrder
  | { readonly kind: 'hunt'; readonly plan: HuntPlan }
  /** Ends the hunt: what is under way is finished, nothing begun. */
  | { readonly kind: 'enough' }
  | { readonly kind: 'stampede'; readonly plan: StampedePlan }
  /** Now, for all at once: a moment of the machine's monotonic clock, in microseconds. */
  | { readonly kind: 'go'; readonly at: number }
  /** Disconnects and lets go of the parent: nothing should keep the process alive then. */
  | { readonly kind: 'leave' };

export interface HuntPlan {
  readonly seed: number;
  /** Which of the processes this is: it alone gives its keys new versions. */
  readonly index: number;
  readonly processes: number;
  readonly keys: number;
  /** The longest between two invalidations of one process; some follow at once. */
  readonly pauseMs: number;
  /** Also what only ours offers: stale values, late tags, loaders that fail, that store nothing or are given up. */
  readonly extras: boolean;
}

/** The kinds of operations, numbered by their place here. */
export const OPERATIONS = [
  'get',
  'getMany',
  'getOrSet',
  'getOrSet, late tags',
  'getOrSet, stale allowed',
  'getOrSet, failing',
  'getOrSet, given up',
  'getOrSet, not stored',
  'getOrSetMany',
  'set',
  'delete',
  'deleteMany',
  'invalidateTags',
  'deletePrefix',
  'flush',
  'expire',
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Numbers that one read, or one acknowledgement, is told in. */
export const NUMBERS_EACH = 4;

/** What a process did since it told last. Times are microseconds of the machine's monotonic clock. */
export interface Seen {
  readonly kind: 'seen';
  /** Every acknowledgement and every stall up to here has been told; reads may still be under way. */
  readonly through: number;
  readonly operations: number;
  /** Calls that rejected, but for loads that were meant to. */
  readonly errors: number;
  /** Answers that were another key's. */
  readonly wrong: number;
  /** One of each kind of error, in words. */
  readonly errorTexts: readonly string[];
  /** Of {@link NUMBERS_EACH}: key, when the read began, version it was answered (-1 for a miss), operation. */
  readonly reads: Float64Array;
  /** Of {@link NUMBERS_EACH}: key, when it was acknowledged, version that was in the origin before, operation. */
  readonly acknowledged: Float64Array;
  /** Pairs: from when to when the process did not get to run. */
  readonly stalls: Float64Array;
}

/** What the cache of a process says of itself. */
export interface Figures {
  readonly l1Hits: number;
  readonly loads: number;
  readonly refusedFills: number;
  /** Calls to Redis that failed behind a reader's back. */
  readonly failures: number;
}

export interface StampedePlan {
  readonly callers: number;
  /** So often the process does the same for a key of its own first: it is not the compiler that is measured. */
  readonly rehearsals: number;
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
  /** When the callers asked and when the last was answered, in microseconds of the machine's monotonic clock. */
  readonly firstAt: number;
  readonly lastAt: number;
}

export type Word =
  | { readonly kind: 'ready' }
  /** Ready to stampede. */
  | { readonly kind: 'poised' }
  | { readonly kind: 'loading' }
  /** With what still holds the process, as Node names it. */
  | { readonly kind: 'left'; readonly holding: readonly string[] }
  | Seen
  | { readonly kind: 'hunted'; readonly figures: Figures }
  | { readonly kind: 'stampeded'; readonly report: StampedeReport };
