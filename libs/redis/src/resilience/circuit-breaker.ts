/**
 * Stops calling what does not answer, and finds out when it does again.
 *
 * - A result belongs to the state its call began in. `acquire` hands out a number; when the state has
 *   changed since, what the call comes to says nothing any more and is dropped. Otherwise failures begun
 *   before an outage open the breaker again after it.
 * - Time is measured on the monotonic clock and only when somebody calls: there is no timer to leak.
 * - Nobody ever waits here: a call is let through or refused at once.
 *
 * One of these stands for one node, reads and writes apart (a full server refuses writes and still reads).
 */
import { systemClock, type Clock } from '../core/index.js';
import { equalJitter, type Backoff, type Random } from './backoff.js';
import type { ResolvedBreaker } from './circuit-breaker.options.js';
import { OutcomeWindow, type Outcome } from './outcome-window.js';
import { Probes } from './probes.js';
import { CircuitOpenError, type Refusal } from './resilience.errors.js';

export type BreakerState = 'closed' | 'open' | 'half-open' | 'isolated';

export interface BreakerChange {
  readonly from: BreakerState;
  readonly to: BreakerState;
  readonly reason: string;
}

export interface BreakerWiring {
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  /** Called after each change, with the change complete; it must not throw. */
  readonly onChange?: ((change: BreakerChange) => void) | undefined;
}

type State =
  | { readonly kind: 'closed'; readonly permit: number }
  | { readonly kind: 'open'; readonly until: number; readonly reason: string }
  | { readonly kind: 'half-open'; readonly probes: Probes; readonly reason: string }
  | { readonly kind: 'isolated'; readonly reason: string };

/** What `acquire` answers instead of a permit. */
export const REFUSED = -1;

export class CircuitBreaker {
  readonly #options: ResolvedBreaker;
  readonly #clock: Clock;
  readonly #onChange: ((change: BreakerChange) => void) | undefined;
  readonly #openTime: Backoff;
  readonly #window: OutcomeWindow;
  /**
   * Successes that close it. All probes have to answer, for a server that has just come back may answer one
   * call and refuse the next; but closing never takes more proof than opening did, so that a large `probes`
   * is more calls at once and not a longer trial.
   */
  readonly #successesToClose: number;
  #state: State = { kind: 'closed', permit: 0 };
  #lastPermit = 0;
  /** Times opened since it was last closed. */
  #openings = 0;

  constructor(options: ResolvedBreaker, wiring: BreakerWiring = {}) {
    this.#options = options;
    this.#clock = wiring.clock ?? systemClock;
    this.#onChange = wiring.onChange;
    this.#openTime = equalJitter({ baseMs: options.openForMs, maxMs: options.maxOpenForMs }, wiring.random);
    this.#window = new OutcomeWindow(options.windowMs);
    this.#successesToClose = Math.min(options.probes, options.consecutiveFailures);
  }

  get state(): BreakerState {
    return this.#state.kind;
  }

  /** The monotonic time until which it refuses; `undefined` unless open. */
  get opensUntil(): number | undefined {
    return this.#state.kind === 'open' ? this.#state.until : undefined;
  }

  /** Why it is not closed; `undefined` when it is. */
  get reason(): string | undefined {
    return this.#state.kind === 'closed' ? undefined : this.#state.reason;
  }

  /**
   * A permit (0 or more) for one call, or {@link REFUSED}. Whoever gets a permit hands it back exactly once,
   * to `success`, `failure` or `ignore`. This and `success` run for every call: they allocate nothing.
   */
  acquire(): number {
    const state = this.#state;
    switch (state.kind) {
      case 'closed':
        return state.permit;
      case 'open':
        if (this.#clock.now() < state.until) return REFUSED;
        this.#toHalfOpen(state.reason, 'the open time is over');
        break;
      case 'half-open':
        break;
      case 'isolated':
        return REFUSED;
    }
    return this.#startProbe();
  }

  success(permit: number, durationMs: number): void {
    this.#settle(permit, durationMs > this.#options.slowCallMs ? 'slow' : 'ok');
  }

  failure(permit: number): void {
    this.#settle(permit, 'failed');
  }

  /** The call says nothing about health: its caller gave up, or the error is the caller's own. */
  ignore(permit: number): void {
    if (this.#state.kind === 'half-open') this.#state.probes.end(permit, this.#clock.now());
  }

  /** Opens at once, for what is certain without counting: the socket was closed, the login was refused. */
  trip(reason: string): void {
    const { kind } = this.#state;
    if (kind === 'closed' || kind === 'half-open') this.#toOpen(reason);
  }

  /** Ends the open time at once, for what promises recovery: a new connection is ready. */
  halfOpen(): void {
    if (this.#state.kind === 'open') this.#toHalfOpen(this.#state.reason, 'ready');
  }

  /** Takes it out by hand: everything is refused, whatever happens, until `restore`. */
  isolate(reason = 'isolated by hand'): void {
    if (this.#state.kind !== 'isolated') this.#enter({ kind: 'isolated', reason }, reason);
  }

  /** Ends `isolate`: closed and with nothing on record, as after a start. */
  restore(): void {
    if (this.#state.kind === 'isolated') this.#toClosed('restored by hand');
  }

  /** The error for a call that `acquire` has just refused. */
  refusal(what: string, cause?: unknown): CircuitOpenError {
    const state = this.#state;
    const refused: Pick<Refusal, 'state' | 'reason' | 'retryInMs'> =
      state.kind === 'open'
        ? { state: 'open', reason: state.reason, retryInMs: Math.max(0, state.until - this.#clock.now()) }
        : {
            // It may have closed between the refusal and this error; then probes had been under way.
            state: state.kind === 'isolated' ? 'isolated' : 'half-open',
            reason: this.reason ?? 'recovering',
            retryInMs: undefined,
          };
    return new CircuitOpenError({ what, cause, ...refused });
  }

  #startProbe(): number {
    // `onChange` may have called back and changed the state again.
    if (this.#state.kind !== 'half-open') return REFUSED;
    const started = this.#state.probes.start(this.#lastPermit + 1, this.#clock.now());
    if (!started) return REFUSED;
    this.#lastPermit += 1;
    return this.#lastPermit;
  }

  #settle(permit: number, outcome: Outcome): void {
    const state = this.#state;
    if (state.kind === 'closed') {
      if (permit === state.permit) this.#count(outcome);
    } else if (state.kind === 'half-open') {
      if (state.probes.end(permit, this.#clock.now())) this.#judgeProbe(state.probes, outcome);
    }
  }

  #count(outcome: Outcome): void {
    const window = this.#window;
    const options = this.#options;
    window.add(outcome, this.#clock.now());
    if (window.streak >= options.consecutiveFailures) {
      this.#toOpen(`${window.streak} failures in a row`);
      return;
    }
    if (window.calls < options.minimumCalls) return;
    // Divided, not multiplied: 3 / 30 is 0.1, but 0.1 * 30 is more than 3.
    if (window.failures / window.calls >= options.failureRate) {
      this.#toOpen(`${window.failures} of ${window.calls} calls failed`);
    } else if (window.slow / window.calls >= options.slowRate) {
      this.#toOpen(`${window.slow} of ${window.calls} calls were slow`);
    }
  }

  /** A slow probe has failed: closing on it would open again on the next slow calls. */
  #judgeProbe(probes: Probes, outcome: Outcome): void {
    if (outcome !== 'ok') this.#toOpen(outcome === 'slow' ? 'a probe was slow' : 'a probe failed');
    else if (probes.succeeded() >= this.#successesToClose) this.#toClosed('the probes succeeded');
  }

  #toOpen(reason: string): void {
    this.#openings += 1;
    const until = this.#clock.now() + this.#openTime(this.#openings);
    this.#enter({ kind: 'open', until, reason }, reason);
  }

  #toHalfOpen(openedFor: string, why: string): void {
    const probes = new Probes(this.#options.probes, this.#options.maxOpenForMs);
    this.#enter({ kind: 'half-open', probes, reason: openedFor }, why);
  }

  #toClosed(reason: string): void {
    this.#openings = 0;
    this.#lastPermit += 1;
    this.#enter({ kind: 'closed', permit: this.#lastPermit }, reason);
  }

  #enter(state: State, reason: string): void {
    const from = this.#state.kind;
    this.#state = state;
    this.#window.clear();
    this.#onChange?.({ from, to: state.kind, reason });
  }
}
