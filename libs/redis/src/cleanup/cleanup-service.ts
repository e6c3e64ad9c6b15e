/**
 * Goes through the keys of this package and ends what nobody needs any more: one process of the fleet at a time, at a
 * pace that others do not notice. It holds no state between runs, so a run that was killed is simply followed by
 * another one. See docs/cleanup.md.
 */
import type { RedisClient } from '../connection/index.js';
import { systemClock, telemetryChannel, type Clock } from '../core/index.js';
import { LockBusyError, LockLostError, type HeldLock, type LockService } from '../lock/index.js';
import { CleanupFailedError } from './cleanup.errors.js';
import { CLEANUP_LOCK, CleanupKeys } from './cleanup.keys.js';
import type { ResolvedCleanup } from './cleanup.options.js';
import {
  Tallies,
  type CleanupCounts,
  type CleanupOutcome,
  type CleanupProgress,
  type CleanupReport,
  type Tally,
} from './cleanup-report.js';
import { Pace } from './pace.js';
import { Sweep, type CleanupHome } from './sweep.js';

export interface CleanupParts {
  /** Where the lock and the mark of the last run are. */
  readonly client: RedisClient;
  readonly namespace: string;
  readonly locks: LockService;
  /** Asked for at the beginning of each run. */
  readonly homes: () => readonly CleanupHome[];
  readonly settings: ResolvedCleanup;
  readonly clock?: Clock | undefined;
}

export interface CleanupRunOptions {
  /** Changes nothing and tells what would be changed. @default false */
  readonly dryRun?: boolean | undefined;
  /** Stops it after the round trip that is under way. */
  readonly signal?: AbortSignal | undefined;
  /** Told how far it is, every `cleanup.progressEvery`. */
  readonly onProgress?: ((progress: CleanupProgress) => void) | undefined;
}

/** A mark that ends a little early: a run is due again when it is looked for after the whole time. */
const MARK_SHARE = 0.9;
const NOTHING: CleanupCounts = { scanned: 0, removed: {}, expiring: {}, freedBytes: 0 };

const telemetry = telemetryChannel('cleanup');

export class CleanupService {
  readonly #parts: CleanupParts;
  readonly #clock: Clock;
  readonly #keys: CleanupKeys;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(parts: CleanupParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#keys = new CleanupKeys(parts.namespace);
  }

  get settings(): ResolvedCleanup {
    return this.#parts.settings;
  }

  /** What is in this process is gone with it: there is hardly anything to clean up. */
  get isEmbedded(): boolean {
    return this.#parts.client.topology === 'embedded';
  }

  /**
   * One run, now. Settles with `lock_held` when another one is under way anywhere, with `aborted` when it was
   * stopped, and rejects with `CLEANUP_FAILED` when Redis failed.
   * ```ts
   * const { removed } = await cleanup.run({ dryRun: true });
   * ```
   */
  run(options: CleanupRunOptions = {}): Promise<CleanupReport> {
    return this.#kept(new Run(this.#parts, this.#clock, this.#stopped(options)).locked());
  }

  /** As `run`, for those who look again and again: only when no process of the fleet has done it lately. */
  runIfDue(options: CleanupRunOptions = {}): Promise<CleanupReport> {
    const run = new Run(this.#parts, this.#clock, this.#stopped(options));
    return this.#kept(run.unlessDone(this.#keys.done));
  }

  /** Stops what is under way and settles when it has come to its end. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the application ends'));
    await Promise.allSettled(this.#running);
  }

  #stopped(options: CleanupRunOptions): CleanupRunOptions & { signal: AbortSignal; done: string } {
    const { signal } = this.#closing;
    const both = options.signal === undefined ? signal : AbortSignal.any([signal, options.signal]);
    return { ...options, signal: both, done: this.#keys.done };
  }

  #kept<T>(running: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = running
      .catch(() => undefined)
      .finally(() => this.#running.delete(settled));
    this.#running.add(settled);
    return running;
  }
}

interface RunOptions extends CleanupRunOptions {
  readonly signal: AbortSignal;
  /** The mark of the last run. */
  readonly done: string;
}

class Run {
  readonly #parts: CleanupParts;
  readonly #clock: Clock;
  readonly #options: RunOptions;
  readonly #dryRun: boolean;
  readonly #tallies = new Tallies();
  readonly #startedAt: number;
  #toldAt: number;
  #pace: Pace | undefined;

  constructor(parts: CleanupParts, clock: Clock, options: RunOptions) {
    this.#parts = parts;
    this.#clock = clock;
    this.#options = options;
    this.#dryRun = options.dryRun ?? false;
    this.#startedAt = clock.now();
    this.#toldAt = this.#startedAt;
  }

  async unlessDone(mark: string): Promise<CleanupReport> {
    const { client } = this.#parts;
    const isDone = async (): Promise<boolean> => (await client.command('EXISTS', [mark])) === 1;
    try {
      if (await isDone()) return this.#report('recent');
    } catch (error) {
      return this.#end(error);
    }
    return this.locked(isDone);
  }

  /** `isDone` is asked once more under the lock: whoever had it may have done it just now. */
  async locked(isDone?: () => Promise<boolean>): Promise<CleanupReport> {
    const { locks } = this.#parts;
    const { signal } = this.#options;
    try {
      return await locks.run(
        CLEANUP_LOCK,
        { wait: '0s', order: 'any', renew: true, signal },
        async (lock) => {
          if ((await isDone?.()) === true) return this.#report('recent');
          return this.#sweep(lock);
        },
      );
    } catch (error) {
      return this.#end(error);
    }
  }

  async #sweep(lock: HeldLock): Promise<CleanupReport> {
    const { client, homes, settings } = this.#parts;
    const dryRun = this.#dryRun;
    const signal = AbortSignal.any([this.#options.signal, lock.signal]);
    this.#tell('started', {});
    const { budgetPerSecond, maxLatencyMs } = settings;
    this.#pace = new Pace({ budgetPerSecond, maxLatencyMs, clock: this.#clock, signal });
    const onPage = (tally: Tally): void => {
      // A process that was stopped for a while finds here that somebody else may be at work.
      lock.assertHeld();
      this.#progress(tally);
    };
    const failures: unknown[] = [];
    for (const home of homes()) {
      const parts = { home, pace: this.#pace, tallies: this.#tallies, signal, dryRun, onPage };
      await new Sweep(parts).run().catch((error: unknown) => {
        if (signal.aborted || error instanceof LockLostError) throw error;
        // A shard that does not answer keeps nobody else's keys.
        failures.push(error);
      });
    }
    if (failures.length > 0) throw failures[0];
    if (!dryRun) {
      const keepMs = Math.round(settings.everyMs * MARK_SHARE);
      await client.command('SET', [this.#options.done, this.#clock.wallNow(), 'PX', keepMs]);
    }
    return this.#completed('ok');
  }

  #end(error: unknown): CleanupReport {
    if (error instanceof LockBusyError) return this.#completed('lock_held');
    if (this.#options.signal.aborted || error instanceof LockLostError) return this.#completed('aborted');
    throw new CleanupFailedError(
      'the clean-up came to an end before it was through',
      this.#completed('error'),
      {
        hint: 'the next run does what is left',
        cause: error,
      },
    );
  }

  #progress({ home, node }: Tally): void {
    const { onProgress } = this.#options;
    const now = this.#clock.now();
    if (now - this.#toldAt < this.#parts.settings.progressMs) return;
    this.#toldAt = now;
    const counts = this.#tallies.counts();
    const durationMs = now - this.#startedAt;
    onProgress?.({ home, node, durationMs, ...counts });
    this.#tell('progress', { ...figuresOf(counts), home, node });
  }

  #completed(outcome: CleanupOutcome): CleanupReport {
    const report = this.#report(outcome);
    this.#tell('completed', { ...figuresOf(report), pausedMs: report.pausedMs }, outcome);
    return report;
  }

  #report(outcome: CleanupOutcome): CleanupReport {
    const isBegun = this.#pace !== undefined;
    return {
      outcome,
      dryRun: this.#dryRun,
      ...(isBegun ? this.#tallies.counts() : NOTHING),
      durationMs: this.#clock.now() - this.#startedAt,
      pausedMs: this.#pace?.pausedMs ?? 0,
      nodes: this.#tallies.nodes(),
    };
  }

  #tell(what: string, attributes: Readonly<Record<string, string | number>>, outcome?: CleanupOutcome): void {
    if (!telemetry.active) return;
    const durationMs = this.#clock.now() - this.#startedAt;
    telemetry.publish({
      name: `cleanup.${what}`,
      subject: this.#parts.client.name,
      durationMs,
      ...(outcome !== undefined && { outcome }),
      attributes: { ...attributes, dryRun: this.#dryRun },
    });
  }
}

/** Flat, as telemetry has it: `removed.value`, `expiring.lock`. */
function figuresOf({ scanned, freedBytes, removed, expiring }: CleanupCounts): Record<string, number> {
  const named = (kind: string, counts: Readonly<Record<string, number>>): [string, number][] =>
    Object.entries(counts).map(([rule, count]) => [`${kind}.${rule}`, count]);
  return {
    scanned,
    freedBytes,
    ...Object.fromEntries([...named('removed', removed), ...named('expiring', expiring)]),
  };
}
