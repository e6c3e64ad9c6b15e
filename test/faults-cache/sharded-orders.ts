/** What the parent of a sharded hunt tells its processes, and what they tell it. */

export interface ShardedPlan {
  /** By shard: `redis://…`. */
  readonly urls: Readonly<Record<string, string>>;
  readonly originUrl: string;
  readonly namespace: string;
  readonly index: number;
  readonly processes: number;
  readonly seed: number;
  readonly leaseMs: number;
}

export type ShardedOrder =
  | { readonly kind: 'open'; readonly plan: ShardedPlan }
  | { readonly kind: 'prepare' }
  | { readonly kind: 'hunt' }
  | { readonly kind: 'stop' }
  | {
      readonly kind: 'change';
      readonly act: 'addShard' | 'removeShard' | 'drain';
      readonly id: string;
      readonly url?: string;
    };

export interface ShardedReport {
  /** Flat triples: key, when it began, the version that was answered; -1 for a miss. */
  readonly reads: readonly number[];
  /** Flat triples: key, when it was acknowledged, the version. */
  readonly acknowledged: readonly number[];
  readonly rejected: number;
  readonly wrong: readonly string[];
  /** Entries that were stored, acknowledged, never touched again, and not found. */
  readonly lost: readonly string[];
  readonly keeps: number;
  readonly increments: number;
  /** Answers of `incr` that had been given before. */
  readonly doubled: number;
  readonly hits: number;
  readonly misses: number;
}

export type ShardedWord =
  | { readonly kind: 'ready' }
  | { readonly kind: 'changed'; readonly error?: string; readonly moved: number }
  | { readonly kind: 'hunted'; readonly report: ShardedReport };
