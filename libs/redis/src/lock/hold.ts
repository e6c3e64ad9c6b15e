/**
 * A lock that is held: renewed while it lives, and over for good at its deadline. The deadline is counted on the
 * monotonic clock from before the command was sent, so that it always lies before the expiry on the server.
 */
import type { RedisClient } from '../connection/index.js';
import { telemetryChannel, type Clock, type Duration, type Timer } from '../core/index.js';
import { LockClosedError, LockLostError } from './lock.errors.js';
import type { LockNames } from './lock.keys.js';
import { releaseScript, renewScript } from './lock.scripts.js';
import { watchedSignal, type WatchedSignal } from './watched-signal.js';

/** What the work under a lock is given. */
export interface HeldLock {
  /**
   * Greater than that of every earlier hold of this lock. Hand it to what the lock protects, and let that refuse
   * a number lower than the highest it has seen: the only protection that also holds when this process is
   * stopped for longer than the lock lives.
   */
  readonly fence: number;
  /** Aborted when the lock is lost, with `LOCK_LOST` as its reason; right also when asked late. */
  readonly signal: AbortSignal;
  /** Throws `LOCK_LOST` when the lock is not held any more. */
  assertHeld(): void;
  /** Milliseconds until it has to be renewed at the latest; 0 when it is lost or released. */
  readonly remainingMs: number;
}

export interface HoldParts {
  readonly client: RedisClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly names: LockNames;
  /** The lock is lost: nothing has to be renewed or verified any more. */
  onLost(hold: Hold): void;
}

export interface Grant {
  readonly token: string;
  readonly fence: number;
  /** When the command that took it was sent, by the monotonic clock. */
  readonly sentAt: number;
  /** How long it lives from then on, unless it is renewed. */
  readonly ttlMs: number;
}

type State = 'held' | 'lost' | 'released';

/** The server's clock and ours do not tick alike. */
const DRIFT = 0.01;
const DRIFT_MS = 2;
/** Part of its life after which a lock is renewed, and after which a failed renewal is tried again. */
const RENEW_AT = 1 / 3;
const RETRY_AT = 1 / 15;
/** A renewal that takes longer is better tried again: it may sit on a dead connection. */
const LONGEST_RENEWAL_MS = 1_000;

const telemetry = telemetryChannel('lock');

export class Hold implements HeldLock {
  readonly fence: number;
  readonly #parts: HoldParts;
  readonly #token: string;
  readonly #ttlMs: number;
  readonly #renews: boolean;
  readonly #watched: WatchedSignal;
  #state: State = 'held';
  #deadline: number;
  #lostBecause: Error | undefined;
  #renewTimer: Timer | undefined;
  #deadlineTimer: Timer | undefined;
  #renewing = false;

  constructor(parts: HoldParts, grant: Grant, settings: { ttlMs: number; renew: boolean }) {
    this.#parts = parts;
    this.#token = grant.token;
    this.fence = grant.fence;
    this.#ttlMs = settings.ttlMs;
    this.#renews = settings.renew;
    this.#deadline = grant.sentAt + lifeOf(grant.ttlMs);
    this.#watched = watchedSignal(() => this.#overdue());
    this.#watch();
    if (this.#renews) this.#renewAfter(settings.ttlMs * RENEW_AT);
  }

  get signal(): AbortSignal {
    return this.#watched.signal;
  }

  get held(): boolean {
    return this.#state === 'held' && !this.#watched.signal.aborted;
  }

  get remainingMs(): number {
    return this.held ? Math.max(0, this.#deadline - this.#parts.clock.now()) : 0;
  }

  /** Why it was lost before it was released. */
  get lostBecause(): Error | undefined {
    if (this.#state === 'held') void this.#watched.signal.aborted;
    return this.#lostBecause;
  }

  assertHeld(): void {
    if (this.held) return;
    throw this.#lostBecause ?? new LockLostError('the lock was released', { hint: 'do the work under it' });
  }

  /** Asks the server at once: after a failover it may know nothing of this lock. */
  verify(): void {
    if (this.#renews && this.#state === 'held' && !this.#renewing) void this.#renew();
  }

  /** Stops renewing and says so: what is still under way has to come to an end before the lock runs out. */
  abandon(): void {
    if (this.#state !== 'held') return;
    this.#lose(new LockClosedError('the lock service was closed while the lock was held'));
  }

  /**
   * Ends the hold. `false` when it was not this one any more. Rejects when Redis does not answer: then it is
   * tried again behind the caller, until the lock has run out by itself.
   */
  async release(): Promise<boolean> {
    if (this.lostBecause !== undefined || this.#state !== 'held') return false;
    this.#state = 'released';
    this.#stop();
    try {
      const released = await this.#sendRelease();
      if (!released) this.#lostBecause = gone();
      return released;
    } catch (error) {
      this.#releaseLater();
      throw error;
    }
  }

  #sendRelease(): Promise<boolean> {
    const { client, names } = this.#parts;
    const keys = [names.held, names.fence, names.queue, names.turn] as const;
    return client.run(releaseScript, keys, { token: this.#token, channel: names.wake });
  }

  #releaseLater(): void {
    const { clock } = this.#parts;
    const waitMs = this.#ttlMs * RETRY_AT;
    if (clock.now() + waitMs >= this.#deadline) return;
    clock.after(waitMs, () => void this.#sendRelease().catch(() => this.#releaseLater()));
  }

  #overdue(): Error | undefined {
    if (this.#state !== 'held') return this.#lostBecause;
    const late = this.#parts.clock.now() - this.#deadline;
    if (late < 0) return undefined;
    const error = new LockLostError(
      `the lock was not renewed within its ttl of ${this.#ttlMs} ms${this.#renews ? '' : ', as was asked for'}`,
      {
        hint: 'Redis did not answer, or this process did not get to run; raise ttl if that is to be survived',
      },
    );
    this.#end(error);
    return error;
  }

  #lose(error: Error): void {
    this.#end(error);
    this.#watched.abort(error);
  }

  #end(error: Error): void {
    this.#state = 'lost';
    this.#lostBecause = error;
    this.#stop();
    this.#parts.onLost(this);
    this.#report('lost', error instanceof LockLostError ? 'lost' : 'closed');
  }

  #stop(): void {
    this.#renewTimer?.cancel();
    this.#deadlineTimer?.cancel();
  }

  #watch(): void {
    this.#deadlineTimer?.cancel();
    const { clock } = this.#parts;
    // Asking is enough: the signal aborts itself when it is too late.
    const look = (): void => {
      if (!this.#watched.signal.aborted) this.#watch();
    };
    this.#deadlineTimer = clock.after(Math.max(0, this.#deadline - clock.now()), look);
  }

  #renewAfter(ms: number): void {
    this.#renewTimer?.cancel();
    // Locks taken together are not to be renewed together for ever.
    const jitter = 0.9 + this.#parts.random() * 0.2;
    this.#renewTimer = this.#parts.clock.after(ms * jitter, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    this.#renewTimer?.cancel();
    const { client, clock, names } = this.#parts;
    if (!this.held) return;
    this.#renewing = true;
    const sentAt = clock.now();
    try {
      const left = Math.min(LONGEST_RENEWAL_MS, this.#deadline - sentAt);
      const timeout: Duration = `${Math.max(1, Math.floor(left))}ms`;
      const args = { token: this.#token, ttlMs: this.#ttlMs };
      const renewed = await client.run(renewScript, [names.held], args, { timeout });
      if (this.#state !== 'held') return;
      if (!renewed) {
        this.#lose(gone());
        return;
      }
      this.#deadline = sentAt + lifeOf(this.#ttlMs);
      this.#watch();
      this.#renewAfter(this.#ttlMs * RENEW_AT);
    } catch (error) {
      this.#report('renew-failed', error instanceof Error ? error.name : 'unknown');
      if (this.held) this.#renewAfter(this.#ttlMs * RETRY_AT);
    } finally {
      this.#renewing = false;
    }
  }

  #report(what: string, outcome: string): void {
    if (!telemetry.active) return;
    telemetry.publish({ name: `lock.${what}`, subject: this.#parts.client.name, outcome });
  }
}

function lifeOf(ttlMs: number): number {
  return ttlMs * (1 - DRIFT) - DRIFT_MS;
}

function gone(): LockLostError {
  return new LockLostError(
    'the lock is not this one any more: it ran out, or was deleted, evicted or lost in a failover',
    {
      hint: 'somebody else may hold it by now; see docs/locks.md',
    },
  );
}
