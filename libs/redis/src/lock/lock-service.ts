/**
 * Locks for work that may run once at a time in the whole fleet. A lock in Redis is a lease, not a guarantee:
 * what must never happen twice checks the fencing number. See docs/locks.md.
 */
import type { Key, RedisClient } from '../connection/index.js';
import {
  abortReason,
  parseDuration,
  systemClock,
  telemetryChannel,
  type Clock,
  type Duration,
} from '../core/index.js';
import { Hold, type HeldLock } from './hold.js';
import { holdAround, runUnder } from './lock-context.js';
import { LockClosedError, LockLostError, LockReentryError } from './lock.errors.js';
import { LockKeys } from './lock.keys.js';
import { LockLines } from './lock-lines.js';
import { resolveLock, type LockCallOptions, type LockOptions, type ResolvedLock } from './lock.options.js';

export interface LockSurroundings {
  readonly client: RedisClient;
  readonly namespace: string;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** A lock that is released by hand. */
export interface AcquiredLock extends HeldLock {
  /**
   * @returns `false` when the lock was lost before
   * @throws when Redis does not answer; the lock then runs out after its `ttl`
   */
  release(): Promise<boolean>;
}

type Work<T> = (lock: HeldLock) => T | Promise<T>;

const DEFAULT_DRAIN_MS = 2_000;
const telemetry = telemetryChannel('lock');

export class LockService {
  readonly #client: RedisClient;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #keys: LockKeys;
  readonly #options: LockOptions;
  readonly #lines: LockLines;
  readonly #holds = new Set<Hold>();
  readonly #stops: readonly (() => void)[];
  /** Work under locks, also under one that is lost. */
  #working = 0;
  /** Those who ask for a lock, or wait for one: what they are given has to be given back. */
  #taking = 0;
  #onIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(surroundings: LockSurroundings, options: LockOptions = {}) {
    const { client, namespace, clock = systemClock, random = Math.random } = surroundings;
    resolveLock(options);
    this.#client = client;
    this.#clock = clock;
    this.#random = random;
    this.#keys = new LockKeys(namespace);
    this.#options = options;
    this.#lines = new LockLines({ client, clock, random, wakeHome: this.#keys.wakeHome });
    const verify = (): void => {
      for (const hold of this.#holds) hold.verify();
    };
    // Another server may answer from now on, and it may know nothing of what is held.
    this.#stops = [client.on('ready', verify), client.on('topology', verify)];
  }

  /**
   * Runs `work` under the lock and releases it afterwards.
   *
   * Rejects with `LOCK_BUSY` when it is not free in time, with `LOCK_UNAVAILABLE` when Redis does not answer,
   * and with `LOCK_LOST` when the work came to its end after the lock had been lost. What `work` throws is
   * thrown, whatever else goes wrong.
   * ```ts
   * await locks.run(['invoice', id], async ({ signal, fence }) => book(id, { signal, fence }));
   * ```
   */
  run<T>(key: Key, work: Work<T>): Promise<T>;
  run<T>(key: Key, options: LockCallOptions, work: Work<T>): Promise<T>;
  async run<T>(key: Key, second: LockCallOptions | Work<T>, third?: Work<T>): Promise<T> {
    const [options, work] = typeof second === 'function' ? [{}, second] : [second, third];
    if (work === undefined) throw new TypeError('run() needs something to run');
    const name = this.#keys.names(key).held;
    const settings = this.#resolve(options);
    const around = this.#holdAround(name, settings);
    if (around !== undefined) return work(around);
    const hold = await this.#take(key, settings, options.signal);
    return this.#perform(hold, () => runUnder({ name, service: this, hold }, () => work(hold)));
  }

  /**
   * Takes the lock and leaves it to the caller to release it; prefer {@link run}. It is renewed until it is
   * released, or this process ends.
   */
  async acquire(key: Key, options: LockCallOptions = {}): Promise<AcquiredLock> {
    const settings = this.#resolve(options);
    if (this.#holdAround(this.#keys.names(key).held, settings) !== undefined) throw reentry();
    const hold = await this.#take(key, settings, options.signal);
    const release = async (): Promise<boolean> => {
      try {
        return await hold.release();
      } finally {
        this.#forget(hold);
      }
    };
    return {
      fence: hold.fence,
      signal: hold.signal,
      assertHeld: () => hold.assertHeld(),
      get remainingMs() {
        return hold.remainingMs;
      },
      release,
    };
  }

  /** How many locks this service holds, and how many of its callers wait for one. */
  stats(): { readonly held: number; readonly waiting: number } {
    return { held: this.#holds.size, waiting: this.#lines.waiting };
  }

  /**
   * Rejects those who wait, lets work under locks finish for at most `drain` and then aborts its signal. Such a
   * lock is not released, as its work may still be running: it runs out. @default '2s'
   */
  disconnect(options: { drain?: Duration } = {}): Promise<void> {
    this.#closing ??= this.#close(
      options.drain === undefined ? DEFAULT_DRAIN_MS : parseDuration(options.drain, 'drain'),
    );
    return this.#closing;
  }

  #resolve(options: LockCallOptions): ResolvedLock {
    return resolveLock({ ...this.#options, ...options });
  }

  #holdAround(name: string, settings: ResolvedLock): Hold | undefined {
    const around = holdAround(name, this);
    if (around !== undefined && !settings.join) throw reentry();
    return around;
  }

  async #take(key: Key, settings: ResolvedLock, signal: AbortSignal | undefined): Promise<Hold> {
    const unwanted = this.#unwanted(signal);
    if (unwanted !== undefined) throw unwanted;
    const names = this.#keys.names(key);
    const startedAt = this.#clock.now();
    this.#taking += 1;
    try {
      const grant = await this.#lines.take({ names, settings, signal });
      const parts = {
        client: this.#client,
        clock: this.#clock,
        random: this.#random,
        names,
        onLost: (lost: Hold) => this.#forget(lost),
      };
      const hold = new Hold(parts, grant, settings);
      this.#holds.add(hold);
      this.#report('acquire', 'taken', startedAt);
      const late = this.#unwanted(signal);
      if (late === undefined) return hold;
      await this.#releaseQuietly(hold);
      throw late;
    } catch (error) {
      this.#report('acquire', error instanceof Error ? error.name : 'unknown', startedAt);
      throw error;
    } finally {
      this.#taking -= 1;
      this.#lookIfIdle();
    }
  }

  /** Why nobody wants a lock: asked once more after the wait, as much may have happened meanwhile. */
  #unwanted(signal: AbortSignal | undefined): Error | undefined {
    if (this.#closing !== undefined) return new LockClosedError('the lock service was closed');
    return signal?.aborted === true ? abortReason(signal) : undefined;
  }

  async #perform<T>(hold: Hold, work: () => T | Promise<T>): Promise<T> {
    let result: T;
    this.#working += 1;
    try {
      result = await work();
    } catch (error) {
      await this.#finish(hold);
      throw error;
    }
    await this.#finish(hold);
    if (hold.lostBecause !== undefined) throw lostBefore(hold.lostBecause);
    return result;
  }

  async #finish(hold: Hold): Promise<void> {
    await this.#releaseQuietly(hold);
    this.#working -= 1;
    this.#lookIfIdle();
  }

  /** Where Redis does not answer, the lock runs out by itself: no reason to fail work that was done under it. */
  async #releaseQuietly(hold: Hold): Promise<void> {
    const startedAt = this.#clock.now();
    try {
      this.#report('release', (await hold.release()) ? 'released' : 'lost', startedAt);
    } catch (error) {
      this.#report('release', error instanceof Error ? error.name : 'unknown', startedAt);
    } finally {
      this.#forget(hold);
    }
  }

  #forget(hold: Hold): void {
    this.#holds.delete(hold);
    this.#lookIfIdle();
  }

  get #idle(): boolean {
    return this.#holds.size === 0 && this.#working === 0 && this.#taking === 0;
  }

  #lookIfIdle(): void {
    if (this.#idle) this.#onIdle?.();
  }

  async #close(drainMs: number): Promise<void> {
    this.#lines.close();
    if (!this.#idle) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.after(drainMs, resolve, { keepAlive: true });
        this.#onIdle = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    for (const hold of this.#holds) hold.abandon();
    for (const stop of this.#stops) stop();
  }

  #report(what: string, outcome: string, startedAt: number): void {
    if (!telemetry.active) return;
    const durationMs = this.#clock.now() - startedAt;
    telemetry.publish({ name: `lock.${what}`, subject: this.#client.name, outcome, durationMs });
  }
}

function reentry(): LockReentryError {
  return new LockReentryError('this work runs under that lock already, and would wait for itself', {
    hint: "call the inner part directly, or give reentry: 'join' to run it under the lock that is held",
  });
}

function lostBefore(cause: Error): Error {
  if (!(cause instanceof LockLostError)) return cause;
  return new LockLostError(`the work was done, but not all of it under the lock: ${cause.message}`, {
    hint: 'follow the signal and stop when it is aborted, or let the fencing number decide',
    cause,
  });
}
