/** What the parent tells the holders, and what they answer. */
export interface HoldPlan {
  readonly url: string;
  readonly key: string;
  readonly ttlMs: number;
  readonly forMs: number;
  readonly order: 'any' | 'fifo';
  /** Goes on writing when the signal is aborted, as work does that looks at no signal. */
  readonly heedless: boolean;
  /** Takes no lock at all, to see that the hunt notices. */
  readonly lockless: boolean;
}

export interface HoldReport {
  readonly holds: number;
  readonly lost: number;
  readonly accepted: number;
  /** Writes the resource refused, because a newer fence had been there. */
  readonly refused: number;
  /** How often it woke up in a hold after a stop longer than the ttl. */
  readonly wakes: number;
  /** How often the signal did not know of it when it was asked first thing. */
  readonly unaware: number;
  /** The longest from such a wake-up to the `abort` event. */
  readonly slowestAbortMs: number;
  readonly failures: readonly string[];
}

export type Word =
  | { readonly kind: 'ready' }
  /** It has the lock from now on. */
  | { readonly kind: 'holding' }
  | { readonly kind: 'done'; readonly report: HoldReport };
