/**
 * Who is in charge: Redis, or the standby. It goes over to the standby with the first call that Redis does not
 * answer, and back when Redis answers again and has been told of everything that was changed meanwhile.
 *
 * `recovering` is the time of the telling. The standby still answers then, so nobody waits and nobody reads what
 * Redis held before. At its very end changes wait for a moment, until nothing is left to tell: whatever is owed to
 * Redis, it is owed only while Redis is not read.
 */
import type { RedisClient } from '../../connection/index.js';
import { systemClock, type Clock, type Timer } from '../../core/index.js';
import { tellOfWhole } from '../cache-events.js';
import { meansAway, reasonOf } from './fallback-loss.js';

export type FallbackMode = 'redis' | 'fallback' | 'recovering';

export interface FallbackChange {
  readonly from: FallbackMode;
  readonly to: FallbackMode;
  /** One line without secrets. */
  readonly reason: string;
  /** Wall clock milliseconds. */
  readonly at: number;
}

export interface SwitchParts {
  readonly name: string;
  readonly client: RedisClient;
  /** Read to see whether Redis answers. */
  readonly probeKey: string;
  /** Nothing is owed to Redis. */
  isSettled(): boolean;
  /** What is owed is quickly told. */
  isShort(): boolean;
  /** Tells Redis once; rejects when it is gone again. */
  replay(): Promise<void>;
  /** The standby begins, and ends. */
  begin(): void;
  end(): Promise<void>;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
}

const FIRST_PROBE_MS = 20;
const LONGEST_PAUSE_MS = 1_000;
/** Lost again sooner than that after it was back: then the pauses go on growing. */
const STABLE_MS = 2_000;
/** After so many rounds changes wait for the next one, whatever it has to tell. */
const OPEN_ROUNDS = 5;
/** A replay that leaves something behind each time is a fault of ours; it must not spin. */
const MOST_ROUNDS = 50;

export class FallbackSwitch {
  readonly #parts: SwitchParts;
  readonly #clock: Clock;
  readonly #listeners = new Set<(change: FallbackChange) => void>();
  readonly #stopListening: () => void;
  #mode: FallbackMode = 'redis';
  #since: number;
  /** Monotonic. */
  #backAt = -Infinity;
  #reason = 'not lost so far';
  #pauseMs = FIRST_PROBE_MS;
  #timer: Timer | undefined;
  #probing: Promise<void> | undefined;
  /** A connection stands since the present probe left. */
  #probeAgain = false;
  #changing = 0;
  #onQuiet: (() => void) | undefined;
  #sealed: Promise<void> | undefined;
  #unseal: () => void = () => undefined;
  #closed = false;

  constructor(parts: SwitchParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#since = this.#clock.wallNow();
    this.#stopListening = parts.client.on('ready', () => {
      this.#probeAgain = this.#probing !== undefined;
      this.#probeSoon(0);
    });
  }

  get mode(): FallbackMode {
    return this.#mode;
  }

  get since(): number {
    return this.#since;
  }

  get reason(): string {
    return this.#reason;
  }

  onChange(listener: (change: FallbackChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A call to Redis has failed. */
  readonly failed = (error: unknown): void => {
    if (this.#mode === 'redis' && meansAway(error)) this.leave(reasonOf(error));
  };

  /** From here on the standby is in charge. */
  leave(reason: string): void {
    if (this.#mode !== 'redis' || this.#closed) return;
    this.#parts.begin();
    this.#become('fallback', reason);
    if (this.#clock.now() - this.#backAt >= STABLE_MS) this.#pauseMs = FIRST_PROBE_MS;
    this.#probeSoon(this.#pauseMs);
  }

  /** Runs a change that is not to be cut in two by the way back. */
  async changing<T>(change: () => Promise<T>): Promise<T> {
    while (this.#sealed !== undefined) await this.#sealed;
    this.#changing += 1;
    try {
      return await change();
    } finally {
      this.#changing -= 1;
      if (this.#changing === 0) this.#onQuiet?.();
    }
  }

  /** Tries once more to tell Redis, and does not come back. */
  async close(): Promise<void> {
    this.#stopListening();
    this.#timer?.cancel();
    if (this.#mode !== 'redis' && !this.#closed) {
      await this.#probing;
      await this.#probe();
    }
    this.#closed = true;
    this.#timer?.cancel();
  }

  // -- the way back -----------------------------------------------------------------------------------------

  #probeSoon(ms: number): void {
    if (this.#closed || this.#mode === 'redis' || this.#probing !== undefined) return;
    this.#timer?.cancel();
    const { random = Math.random } = this.#parts;
    const jittered = ms * (0.5 + random() / 2);
    this.#timer = this.#clock.after(jittered, () => void this.#probe());
  }

  #probe(): Promise<void> {
    this.#probing ??= this.#tryToReturn().finally(() => {
      this.#probing = undefined;
      this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
      this.#probeSoon(this.#probeAgain ? 0 : this.#pauseMs);
      this.#probeAgain = false;
    });
    return this.#probing;
  }

  async #tryToReturn(): Promise<void> {
    try {
      await this.#parts.client.command('GET', [this.#parts.probeKey], { anyType: true });
      if (this.#mode === 'fallback') this.#become('recovering', 'Redis answers again');
      await this.#tellAll();
    } catch (error) {
      if (this.#mode === 'recovering') this.#become('fallback', reasonOf(error));
    } finally {
      this.#open();
    }
  }

  async #tellAll(): Promise<void> {
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      if (this.#parts.isShort() || round >= OPEN_ROUNDS) {
        this.#seal();
        await this.#quiet();
      }
      await this.#parts.replay();
      if (this.#sealed !== undefined && this.#changing === 0 && this.#parts.isSettled()) {
        await this.#return();
        return;
      }
    }
  }

  async #return(): Promise<void> {
    await this.#parts.end();
    this.#backAt = this.#clock.now();
    this.#become('redis', 'Redis was told of all changes');
    this.#open();
  }

  /** Changes that come from here on wait. */
  #seal(): void {
    this.#sealed ??= new Promise((resolve) => {
      this.#unseal = resolve;
    });
  }

  #open(): void {
    this.#sealed = undefined;
    this.#unseal();
  }

  /** Changes under way have ended; those that still wait for Redis do so for no longer than their deadline. */
  #quiet(): Promise<void> {
    if (this.#changing === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onQuiet = () => {
        this.#onQuiet = undefined;
        resolve();
      };
    });
  }

  #become(to: FallbackMode, reason: string): void {
    const from = this.#mode;
    const at = this.#clock.wallNow();
    this.#mode = to;
    this.#since = at;
    this.#reason = reason;
    const { name: subject } = this.#parts;
    tellOfWhole(() => ({ name: 'cache.fallback', subject, outcome: to, attributes: { reason } }));
    for (const listener of this.#listeners) {
      try {
        listener({ from, to, reason, at });
      } catch {
        // A listener's fault is its own.
      }
    }
  }
}
