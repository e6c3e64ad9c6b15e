/**
 * All who wait in this process for one key. Who joins later may be owed more: an invalidation acknowledged
 * before a call began must show in its answer. So callers are numbered, and an answer goes only to those who
 * had joined before the question was sent (a read, a fill), or before the loader began.
 */
import { abortReason, type Clock, type SpanOrigin, type Timer } from '../../core/index.js';
import { CacheLoadTimeoutError } from '../cache.errors.js';
import type { CacheOutcome, Loader, ResolvedLoad } from '../call.options.js';
import type { Key } from '../../connection/index.js';
import type { LoadSharing } from '../l1/l1-sharing.js';
import type { LoadAbort } from './load-abort.js';
import { LoadHaste } from './load-haste.js';
import type { CacheEntry } from '../store.js';
import { isServable } from '../validity.js';
import type { WakeCall } from './wake-calls.js';

export interface Answer {
  readonly value: unknown;
  readonly outcome: CacheOutcome;
}

export interface LoadRequest {
  /** The full key of the value. */
  readonly key: string;
  readonly userKey: Key;
  readonly loader: Loader<unknown>;
  readonly options: ResolvedLoad;
  /** Past its `ttl` and not invalidated. */
  readonly stale: CacheEntry | undefined;
  readonly signal: AbortSignal | undefined;
  /** Redis did not even answer the read. */
  readonly unreachable: boolean;
  /** The loader is one for many keys and takes its place under the cap itself. */
  readonly batched: boolean;
  /** What others have stored will not do. @default false */
  readonly anew?: boolean | undefined;
  /** By how much longer than others its lease is; @default 0 */
  readonly moreLeaseMs?: number | undefined;
  /** When the call began, by the monotonic clock. */
  readonly beganAt: number;
  /** Where it was asked for, for the spans of what is done for it. */
  readonly origin: SpanOrigin | undefined;
  /** It is settled whether the loader of this request is needed now. */
  readonly onDecided: (() => void) | undefined;
  /** It is open again: others have loaded, and perhaps in vain. */
  readonly onUndecided?: (() => void) | undefined;
}

class Caller {
  readonly number: number;
  readonly request: LoadRequest;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #cleanups: (() => void)[] = [];

  constructor(
    number: number,
    request: LoadRequest,
    settle: { resolve: (answer: Answer) => void; reject: (error: unknown) => void },
  ) {
    this.number = number;
    this.request = request;
    this.#resolve = settle.resolve;
    this.#reject = settle.reject;
  }

  onSettled(cleanup: () => void): void {
    this.#cleanups.push(cleanup);
  }

  resolve(answer: Answer): void {
    this.#cleanUp();
    this.#resolve(answer);
  }

  reject(error: unknown): void {
    this.#cleanUp();
    this.#reject(error);
  }

  /** What is there for them when loading fails. */
  makeshiftAt(now: number): CacheEntry | undefined {
    const { stale, options } = this.request;
    return stale !== undefined && isServable(stale, now, options.staleOnErrorMs) ? stale : undefined;
  }

  /** Fails, or makes do with what is stale. */
  fail(error: unknown, now: number): void {
    const stale = this.makeshiftAt(now);
    if (stale === undefined) this.reject(error);
    else this.resolve({ value: stale.value, outcome: 'stale' });
  }

  #cleanUp(): void {
    for (const cleanup of this.#cleanups) cleanup();
    this.request.onDecided?.();
  }
}

export class Flight {
  readonly key: string;
  /** Aborts the loader that is running. */
  controller: LoadAbort | undefined;
  call: WakeCall | undefined;
  /** The load of others that is waited for. */
  waitedFor: string | undefined;
  /** The load that has stored something this flight can not use. */
  despite: string | undefined;
  /** Loads of others that ended without anything for us. */
  lostWaits = 0;
  reachable = true;
  /** A loader is running, or that of others is waited for: nobody else's loader is needed now. */
  busy = false;
  /** Somebody may have stored something since the callers have looked. */
  lookAgain = false;
  /** Of those who wait for it. */
  readonly haste = new LoadHaste();
  readonly #clock: Clock;
  readonly #sharing: LoadSharing;
  /** In the order they came. A set, as each of thousands may leave on its own. */
  readonly #callers = new Set<Caller>();
  #background: LoadRequest | undefined;
  #numbers = 0;
  #latestAt = -Infinity;

  constructor(key: string, clock: Clock, sharing: LoadSharing) {
    this.key = key;
    this.#clock = clock;
    this.#sharing = sharing;
  }

  /** A load that nobody waits for, and that goes on all the same. */
  get background(): LoadRequest | undefined {
    return this.#background;
  }

  set background(request: LoadRequest | undefined) {
    this.#background?.onDecided?.();
    this.#background = request;
  }

  get wanted(): boolean {
    return this.#callers.size > 0 || this.#background !== undefined;
  }

  get awaited(): boolean {
    return this.#callers.size > 0;
  }

  /** A failure would fail nobody: all who wait have something stale to make do with. */
  get unfailing(): boolean {
    const now = this.#clock.wallNow();
    for (const caller of this.#callers) if (caller.makeshiftAt(now) === undefined) return false;
    return true;
  }

  /** Whose loader and options a load of this flight takes. */
  get lead(): LoadRequest | undefined {
    const [first] = this.#callers;
    return first?.request ?? this.background;
  }

  /** The number that the next caller will have: an answer is for those below it. */
  get cut(): number {
    return this.#numbers;
  }

  /** How long the latest of the callers has been waiting: what failed meanwhile has failed for all of them. */
  get waitedMs(): number {
    return this.awaited ? Math.max(0, this.#clock.now() - this.#latestAt) : 0;
  }

  join(request: LoadRequest): Promise<Answer> {
    this.#latestAt = Math.max(this.#latestAt, request.beganAt);
    return new Promise((resolve, reject) => {
      const caller = new Caller(this.#numbers, request, { resolve, reject });
      this.#numbers += 1;
      this.#callers.add(caller);
      this.#watch(caller);
    });
  }

  deliver(cut: number, answer: Answer): void {
    const callers = this.#take(cut);
    // Before the first of them runs on, and may change what it was given.
    const values = this.#sharing.deal(answer.value, callers.length);
    callers.forEach((caller, i) => caller.resolve({ value: values[i], outcome: answer.outcome }));
  }

  fail(cut: number, error: unknown): void {
    const now = this.#clock.wallNow();
    for (const caller of this.#take(cut)) caller.fail(error, now);
  }

  /** For all but the one whose loader is called: that call is the decision. */
  settleOnLoaderOf(chosen: LoadRequest | undefined): void {
    this.busy = true;
    for (const { request } of this.#callers) if (request !== chosen) request.onDecided?.();
    if (this.#background !== chosen) this.#background?.onDecided?.();
  }

  /** The load of others that was waited for has ended, in whatever way. */
  reopen(): void {
    this.busy = false;
    this.lookAgain = true;
    for (const { request } of this.#callers) request.onUndecided?.();
  }

  #take(cut: number): readonly Caller[] {
    const taken = [...this.#callers].filter(({ number }) => number < cut);
    for (const caller of taken) this.#callers.delete(caller);
    return taken;
  }

  #watch(caller: Caller): void {
    const { signal, options } = caller.request;
    if (signal !== undefined) {
      const onAbort = (): void => this.#leave(caller, () => caller.reject(abortReason(signal)));
      signal.addEventListener('abort', onAbort, { once: true });
      caller.onSettled(() => signal.removeEventListener('abort', onAbort));
    }
    const stale = caller.makeshiftAt(this.#clock.wallNow());
    if (stale !== undefined) {
      this.#after(caller, options.softTimeoutMs, () => {
        // The load is worth finishing: the next reader has it.
        this.background ??= caller.request;
        this.#leave(caller, () => caller.resolve({ value: stale.value, outcome: 'stale' }));
      });
    }
    this.#after(caller, options.hardTimeoutMs, () => {
      const late = timedOut(options.hardTimeoutMs);
      // When it was the last one, the load has failed and was not given up: others hear of it.
      if (this.#isLast(caller)) this.controller?.expire(late);
      this.#leave(caller, () => caller.fail(late, this.#clock.wallNow()));
    });
  }

  #after(caller: Caller, ms: number, callback: () => void): void {
    if (!Number.isFinite(ms)) return;
    const timer: Timer = this.#clock.after(ms, callback, { keepAlive: true });
    caller.onSettled(() => timer.cancel());
  }

  #isLast(caller: Caller): boolean {
    return this.background === undefined && this.#callers.size === 1 && this.#callers.has(caller);
  }

  #leave(caller: Caller, settle: () => void): void {
    this.#callers.delete(caller);
    settle();
    if (this.wanted) return;
    this.controller?.abandon(new Error('nobody waits for this load any more'));
    this.call?.ring();
  }
}

export function timedOut(timeoutMs: number): CacheLoadTimeoutError {
  return new CacheLoadTimeoutError(`the loader did not answer within ${timeoutMs} ms`, {
    hint: 'loadTimeout.hard is the limit; the context has a signal for what the loader waits for',
    details: { timeoutMs },
  });
}
