/** What was decided, as plain numbers, and the events others listen to. */
import { telemetryChannel, type Clock, type TelemetryChannel } from '../core/index.js';
import type { AskedLimit } from './ask.js';
import type { DecisionSource, RateDecision } from './decision.js';

export interface RateLimiterStats {
  readonly allowed: number;
  readonly denied: number;
  /** Limits that would have denied. */
  readonly shadowDenied: number;
  /** Decisions by who made them; `local`, `open` and `closed` are those made without Redis. */
  readonly bySource: Readonly<Record<DecisionSource, number>>;
  /** Let through without Redis: what may have exceeded the limits. */
  readonly allowedWithoutStore: number;
  /** Places that were given to others while they were held. */
  readonly placesLost: number;
}

export class LimiterCounters {
  readonly #decisions: TelemetryChannel = telemetryChannel('rate-limit');
  /** Apart, for those who want to hear of an outage and not of every request. */
  readonly #changes: TelemetryChannel = telemetryChannel('rate-limit-changes');
  readonly #bySource: Record<DecisionSource, number> = {
    store: 0,
    lease: 0,
    denial: 0,
    local: 0,
    open: 0,
    closed: 0,
  };
  #allowed = 0;
  #denied = 0;
  #shadowDenied = 0;
  #allowedWithoutStore = 0;
  #placesLost = 0;
  #storeLostAt: number | undefined;
  #allowedBefore = 0;

  get isStoreLost(): boolean {
    return this.#storeLostAt !== undefined;
  }

  /** Returns the decision, counted and told. */
  count(decision: RateDecision, asked: readonly AskedLimit[], startedAt: number, clock: Clock): RateDecision {
    const { allowed, source } = decision;
    this.#bySource[source] += 1;
    if (allowed) this.#allowed += 1;
    else this.#denied += 1;
    if (allowed && (source === 'local' || source === 'open')) this.#allowedWithoutStore += 1;
    for (const { shadowDenied } of decision.limits) if (shadowDenied) this.#shadowDenied += 1;
    if (this.#decisions.active) this.#tell(decision, asked, clock.now() - startedAt);
    return decision;
  }

  placeLost(): void {
    this.#placesLost += 1;
    if (!this.#changes.active) return;
    this.#changes.publish({ name: 'rate-limit.place', subject: 'concurrency', outcome: 'lost' });
  }

  /** Told once per change; `reason` is the code of an error. */
  storeLost(reason: string, now: number): void {
    if (this.#storeLostAt !== undefined) return;
    this.#storeLostAt = now;
    this.#allowedBefore = this.#allowedWithoutStore;
    if (!this.#changes.active) return;
    this.#changes.publish({
      name: 'rate-limit.store',
      subject: 'store',
      outcome: 'lost',
      attributes: { reason },
    });
  }

  storeBack(clock: Clock): void {
    if (this.#storeLostAt === undefined) return;
    const durationMs = clock.now() - this.#storeLostAt;
    const allowed = this.#allowedWithoutStore - this.#allowedBefore;
    this.#storeLostAt = undefined;
    if (!this.#changes.active) return;
    this.#changes.publish({
      name: 'rate-limit.store',
      subject: 'store',
      outcome: 'back',
      durationMs,
      attributes: { allowedWithoutStore: allowed },
    });
  }

  stats(): RateLimiterStats {
    return {
      allowed: this.#allowed,
      denied: this.#denied,
      shadowDenied: this.#shadowDenied,
      bySource: { ...this.#bySource },
      allowedWithoutStore: this.#allowedWithoutStore,
      placesLost: this.#placesLost,
    };
  }

  /** One event per limit: what it said itself, or what became of it where nobody looked. */
  #tell(decision: RateDecision, asked: readonly AskedLimit[], durationMs: number): void {
    const { limits, source, allowed } = decision;
    const told = new Set<string>();
    for (const { name, shadowDenied, passed } of limits) {
      told.add(name);
      const outcome = shadowDenied ? 'shadow_denied' : passed ? 'allowed' : 'denied';
      this.#publish(name, outcome, source, durationMs);
    }
    for (const { limit } of asked) {
      if (!told.has(limit.name)) {
        this.#publish(limit.name, allowed ? 'failed_open' : 'failed_closed', source, durationMs);
      }
    }
  }

  #publish(subject: string, outcome: string, source: DecisionSource, durationMs: number): void {
    this.#decisions.publish({
      name: 'rate-limit.decision',
      subject,
      outcome,
      durationMs,
      attributes: { source },
    });
  }
}
