/** What a run of the clean-up has come to, and the counting that leads there. */

/**
 * - `ok`: all keys were gone through.
 * - `lock_held`: another run is under way, here or in another process; nothing was done.
 * - `recent`: one was done lately, so none is due; nothing was done.
 * - `aborted`: it was stopped, or its lock was lost. The next run begins anew.
 * - `error`: only in the report of a `CleanupFailedError`.
 */
export type CleanupOutcome = 'ok' | 'lock_held' | 'recent' | 'aborted' | 'error';

export interface CleanupCounts {
  /** Keys of this package that were met; of others none is counted, and none touched. */
  readonly scanned: number;
  /** By the name of the rule, for example `value`, `lease`, `session-index`. */
  readonly removed: Readonly<Record<string, number>>;
  /** Keys that had lost their expiry and got one again, by the name of the rule. */
  readonly expiring: Readonly<Record<string, number>>;
  /** What the server says that the removed ones took; those it does not tell of are not in it. */
  readonly freedBytes: number;
}

export interface CleanupNodeReport extends CleanupCounts {
  /** `host:port`, or `'embedded'`. */
  readonly node: string;
  /** `'default'`, `'fallback'` for what this process keeps for an outage, or `'shard:<id>'`. */
  readonly home: string;
}

export interface CleanupReport extends CleanupCounts {
  readonly outcome: CleanupOutcome;
  /** Nothing was changed: the figures tell what would have been. */
  readonly dryRun: boolean;
  readonly durationMs: number;
  /** Of it, waiting for servers to be faster. */
  readonly pausedMs: number;
  readonly nodes: readonly CleanupNodeReport[];
}

export interface CleanupProgress extends CleanupCounts {
  readonly home: string;
  readonly node: string;
  readonly durationMs: number;
}

/** Counts for one server. */
export class Tally {
  readonly home: string;
  readonly node: string;
  readonly removed = new Map<string, number>();
  readonly expiring = new Map<string, number>();
  scanned = 0;
  freedBytes = 0;

  constructor(home: string, node: string) {
    this.home = home;
    this.node = node;
  }

  add(kind: 'removed' | 'expiring', rule: string): void {
    this[kind].set(rule, (this[kind].get(rule) ?? 0) + 1);
  }
}

export class Tallies {
  readonly #all = new Map<string, Tally>();

  of(home: string, node: string): Tally {
    const name = `${home} ${node}`;
    const known = this.#all.get(name);
    if (known !== undefined) return known;
    const made = new Tally(home, node);
    this.#all.set(name, made);
    return made;
  }

  counts(): CleanupCounts {
    return countsOf([...this.#all.values()]);
  }

  nodes(): readonly CleanupNodeReport[] {
    return [...this.#all.values()].map((tally) => ({
      home: tally.home,
      node: tally.node,
      ...countsOf([tally]),
    }));
  }
}

function countsOf(tallies: readonly Tally[]): CleanupCounts {
  const add = (pick: (tally: Tally) => number): number =>
    tallies.reduce((sum, tally) => sum + pick(tally), 0);
  return {
    scanned: add(({ scanned }) => scanned),
    removed: summed(tallies.map(({ removed }) => removed)),
    expiring: summed(tallies.map(({ expiring }) => expiring)),
    freedBytes: add(({ freedBytes }) => freedBytes),
  };
}

function summed(maps: readonly ReadonlyMap<string, number>[]): Readonly<Record<string, number>> {
  const sums = new Map<string, number>();
  for (const [rule, count] of maps.flatMap((map) => [...map])) sums.set(rule, (sums.get(rule) ?? 0) + count);
  return Object.fromEntries([...sums].toSorted(([a], [b]) => a.localeCompare(b)));
}
