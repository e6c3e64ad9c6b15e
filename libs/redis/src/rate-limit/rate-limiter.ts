/**
 * The limiter: asks Redis in one step whether limits let something pass, and knows what to do when Redis does
 * not answer.
 */
import { keySlot, type Key, type RedisClient } from '../connection/index.js';
import { isRedisModuleError, systemClock, type Clock } from '../core/index.js';
import { printOf, Questions, type AskedLimit, type RateAsk } from './ask.js';
import { decide, refuseUnseen, stateOf, type DecisionSource, type RateDecision } from './decision.js';
import { DenialMemory } from './denial-memory.js';
import { HeldPlaces } from './held-places.js';
import type { Limit } from './limit.options.js';
import { LimiterCounters, type RateLimiterStats } from './limiter-stats.js';
import { LocalCount } from './local-count.js';
import { RateLimitKeys } from './rate-limit.keys.js';
import {
  resolveRateLimiter,
  type RateLimiterOptions,
  type ResolvedRateLimiter,
} from './rate-limit.options.js';
import { TakeBatch } from './take-batch.js';
import { refundScript, type TakeArgs, type TakeState } from './take.scripts.js';
import { TokenLeases } from './token-leases.js';

export interface RateLimiterSurroundings {
  readonly client: RedisClient;
  /** First segment of every key. */
  readonly namespace: string;
  readonly clock?: Clock | undefined;
}

export interface ConsumeOptions {
  /** How much it takes, a whole number; 0 only looks. @default 1 */
  cost?: number | undefined;
}

type Mode = TakeArgs['mode'];
type Limits = Limit | readonly Limit[];

/** How long to stay away from a limiter that can not look. */
const UNSEEN_RETRY_MS = 1_000;

/**
 * ```ts
 * const { allowed, retryAfterMs } = await limiter.consume(['ip', address], { limit: 100, window: '1m' });
 * ```
 */
export class RateLimiter {
  readonly #client: RedisClient;
  readonly #clock: Clock;
  readonly #settings: ResolvedRateLimiter;
  readonly #keys: RateLimitKeys;
  readonly #questions: Questions;
  readonly #batch: TakeBatch;
  readonly #denials: DenialMemory | undefined;
  readonly #leases: TokenLeases;
  readonly #places: HeldPlaces;
  readonly #local: LocalCount;
  readonly #counters = new LimiterCounters();

  constructor(surroundings: RateLimiterSurroundings, options: RateLimiterOptions = {}) {
    const { client, namespace, clock = systemClock } = surroundings;
    this.#client = client;
    this.#clock = clock;
    this.#settings = resolveRateLimiter(options);
    this.#keys = new RateLimitKeys(namespace);
    this.#questions = new Questions(this.#keys, this.#settings.onStoreError);
    this.#batch = new TakeBatch(client, clock, { timeout: this.#settings.timeout });
    this.#denials =
      this.#settings.denials === undefined ? undefined : new DenialMemory(this.#settings.denials);
    this.#leases = new TokenLeases(clock);
    this.#places = new HeldPlaces(clock, () => this.#counters.placeLost());
    this.#local = new LocalCount(this.#settings.replicas, clock);
  }

  /** Takes from all limits of one subject, or from none of them when one denies. */
  consume(subject: Key, limits: Limits, options: ConsumeOptions = {}): Promise<RateDecision> {
    return this.consumeAll([{ subject, limits }], options);
  }

  /**
   * As {@link consume}, for limits of several subjects. In a cluster subjects live apart: they are asked one after
   * the other, and what was taken is given back when a later one denies.
   */
  consumeAll(asks: readonly RateAsk[], options: ConsumeOptions = {}): Promise<RateDecision> {
    try {
      return Promise.resolve(this.decide(asks, options));
    } catch (error) {
      return Promise.reject<RateDecision>(error);
    }
  }

  /** As {@link consumeAll}, but what is known without a trip is said at once, and what can not be meant is thrown. */
  decide(asks: readonly RateAsk[], options: ConsumeOptions = {}): RateDecision | Promise<RateDecision> {
    const asked = this.#questions.of(asks, options.cost);
    const startedAt = this.#clock.now();
    const known = this.#withoutTrip(asked, startedAt);
    return known === undefined ? this.#decide(asked, startedAt) : this.#count(known, asked, startedAt);
  }

  /** What {@link consume} would answer; takes nothing and writes nothing. */
  async peek(subject: Key, limits: Limits, options: ConsumeOptions = {}): Promise<RateDecision> {
    return this.#ask(this.#questions.of([{ subject, limits }], options.cost), 'peek');
  }

  /**
   * Gives back what was taken: for requests that should not count after all. Returns what remains, per limit.
   * A limit that has meanwhile reset is not made to hold more than it can.
   * @throws when Redis does not answer: nothing is known to have been given back then
   */
  async refund(subject: Key, limits: Limits, options: ConsumeOptions = {}): Promise<readonly number[]> {
    return this.#refund(this.#questions.of([{ subject, limits }], options.cost));
  }

  /** As if nothing had ever been taken, penalties included. Held places stay with their holders. */
  async reset(subject: Key, limits: Limits): Promise<void> {
    const asked = this.#questions.of([{ subject, limits }]);
    const keys = asked.flatMap(({ limit, key, mark }) => [
      ...(limit.code === 'c' ? [] : [key]),
      ...(mark === '' ? [] : [mark]),
    ]);
    this.#forget();
    if (keys.length > 0) await this.#client.command('UNLINK', keys, { timeout: this.#settings.timeout });
  }

  stats(): RateLimiterStats {
    return this.#counters.stats();
  }

  /** Gives held places back. The connection stays with its owner. */
  async close(): Promise<void> {
    await this.#places.close();
    await this.#local.close();
    this.#forget();
  }

  /** By a denial that is remembered, or with a token that was taken before. */
  #withoutTrip(asked: readonly AskedLimit[], now: number): RateDecision | undefined {
    if (this.#denials !== undefined && this.#denials.size > 0) {
      const remembered = this.#denials.recall(printOf(asked), now);
      if (remembered !== undefined) return decide({ limits: remembered, source: 'denial' });
    }
    const [first] = asked;
    if (first === undefined || asked.length > 1 || first.limit.lease === 0) return undefined;
    const state = this.#leases.spend(first, now);
    return state === undefined
      ? undefined
      : decide({ limits: [stateOf(first.limit, state)], source: 'lease' });
  }

  #decide(asked: readonly AskedLimit[], startedAt: number): Promise<RateDecision> {
    return this.#ask(asked, 'consume').then((decision) => {
      if (!decision.allowed && decision.source === 'store') {
        this.#denials?.remember(printOf(asked), decision.limits, startedAt);
      }
      return this.#count(decision, asked, startedAt);
    });
  }

  #count(decision: RateDecision, asked: readonly AskedLimit[], startedAt: number): RateDecision {
    return this.#counters.count(decision, asked, startedAt, this.#clock);
  }

  // Without `await`, as far as the usual way goes: each is a turn of the queue of promises, for every request.
  #ask(limits: readonly AskedLimit[], mode: Mode): Promise<RateDecision> {
    const holder = holdsPlaces(limits) ? this.#places.newHolder() : '';
    return this.#askStore(limits, mode, holder).then(
      (decision) => {
        this.#counters.storeBack(this.#clock);
        return decision;
      },
      (error: unknown) => {
        if (!isRedisModuleError(error)) throw error;
        this.#counters.storeLost(error.code, this.#clock.now());
        return this.#withoutStore(limits, mode, holder);
      },
    );
  }

  #askStore(limits: readonly AskedLimit[], mode: Mode, holder: string): Promise<RateDecision> {
    const [first, second] = limits;
    if (first !== undefined && second === undefined && first.limit.lease > 0 && mode === 'consume') {
      return this.#askWithLease(first);
    }
    if (this.#client.topology !== 'cluster') return this.#askOne(limits, mode, holder);
    const slots = bySubject(limits);
    return slots.length > 1 && mode === 'consume'
      ? this.#askInTurn(slots, holder)
      : this.#askAtOnce(slots, mode, holder);
  }

  async #askWithLease(asked: AskedLimit): Promise<RateDecision> {
    const fetch = async (want: number): Promise<TakeState> => {
      const [state] = await this.#batch.take({ limits: [asked], mode: 'consume', want });
      return state ?? { verdict: 'denied', remaining: 0, wait: 0, reset: 0, charge: 0 };
    };
    const { state, own } = await this.#leases.take(asked, fetch);
    return decide({ limits: [stateOf(asked.limit, state)], source: own ? 'lease' : 'store' });
  }

  #askOne(limits: readonly AskedLimit[], mode: Mode, holder: string): Promise<RateDecision> {
    return this.#batch
      .take({ limits, mode, holder })
      .then((states) => this.#conclude(limits, states, { mode, holder, source: 'store' }));
  }

  async #askAtOnce(
    slots: readonly (readonly AskedLimit[])[],
    mode: Mode,
    holder: string,
  ): Promise<RateDecision> {
    const limits = slots.flat();
    const answers = await Promise.all(slots.map((each) => this.#batch.take({ limits: each, mode, holder })));
    return this.#conclude(limits, answers.flat(), { mode, holder, source: 'store' });
  }

  /** The one most likely to deny first; what was taken before it is given back. */
  async #askInTurn(slots: readonly (readonly AskedLimit[])[], holder: string): Promise<RateDecision> {
    const order = slots.toSorted((a, b) => narrowest(a) - narrowest(b));
    const taken: RateDecision[] = [];
    const giveBack = async (done: readonly (readonly AskedLimit[])[]): Promise<void> => {
      await Promise.allSettled([
        ...done.map((limits) => this.#refund(limits)),
        ...taken.map((decision) => decision.release()),
      ]);
    };
    for (const [i, limits] of order.entries()) {
      try {
        taken.push(await this.#askOne(limits, 'consume', holder));
      } catch (error) {
        await giveBack(order.slice(0, i));
        throw error;
      }
      if (taken.at(-1)?.allowed === true) continue;
      await giveBack(order.slice(0, i));
      break;
    }
    const states = taken.flatMap(({ limits }) => limits);
    const release = async (): Promise<void> => void (await Promise.all(taken.map((each) => each.release())));
    return decide({ limits: states, source: 'store', release });
  }

  /** Each limit has its say: one `closed` refuses, the `local` ones are counted here, the `open` ones are not. */
  async #withoutStore(limits: readonly AskedLimit[], mode: Mode, holder: string): Promise<RateDecision> {
    const closed = limits.filter(({ limit }) => limit.onStoreError === 'closed' && !limit.shadow);
    if (closed.length > 0)
      return refuseUnseen(
        closed.map(({ limit }) => limit.name),
        UNSEEN_RETRY_MS,
      );
    const local = limits.filter(({ limit }) => limit.onStoreError === 'local');
    if (local.length === 0) return decide({ limits: [], source: 'open' });
    const states = await this.#local.take(local, { mode, holder });
    return this.#conclude(local, states, { mode, holder, source: 'local' });
  }

  #conclude(
    limits: readonly AskedLimit[],
    states: readonly TakeState[],
    { mode, holder, source }: { mode: Mode; holder: string; source: DecisionSource },
  ): RateDecision {
    const told = limits.map(({ limit }, i) => stateOf(limit, states[i] ?? MISSING));
    const places =
      holder === '' || mode === 'peek' ? [] : limits.filter((_, i) => isHeld(limits[i], states[i]));
    if (places.length === 0) return decide({ limits: told, source });
    const client = source === 'local' ? this.#local.client : this.#client;
    const back = places.map(({ key, limit }) => this.#places.keep(client, key, holder, limit.unit));
    const release = async (): Promise<void> => void (await Promise.all(back.map((give) => give())));
    return decide({ limits: told, source, release });
  }

  async #refund(limits: readonly AskedLimit[]): Promise<readonly number[]> {
    this.#forget();
    const counted = limits.filter(({ limit }) => limit.code !== 'c');
    if (counted.length === 0) return [];
    const keys = counted.map(({ key }) => key);
    const items = counted.map(({ limit, cost }) => ({ terms: limit, cost }));
    return this.#client.run(refundScript, keys, { items }, { timeout: this.#settings.timeout });
  }

  #forget(): void {
    this.#denials?.clear();
    this.#leases.forget();
  }
}

const MISSING: TakeState = { verdict: 'denied', remaining: 0, wait: 0, reset: 0, charge: 0 };

function holdsPlaces(limits: readonly AskedLimit[]): boolean {
  return limits.some(({ limit }) => limit.code === 'c');
}

function isHeld(asked: AskedLimit | undefined, state: TakeState | undefined): boolean {
  return asked?.limit.code === 'c' && state !== undefined && state.charge > 0;
}

/** Limits that share a slot can be asked in one step. */
function bySubject(limits: readonly AskedLimit[]): readonly (readonly AskedLimit[])[] {
  const slots = new Map<number, AskedLimit[]>();
  for (const asked of limits) {
    const slot = keySlot(asked.key);
    const list = slots.get(slot);
    if (list === undefined) slots.set(slot, [asked]);
    else list.push(asked);
  }
  return [...slots.values()];
}

function narrowest(limits: readonly AskedLimit[]): number {
  return Math.min(...limits.map(({ limit }) => limit.capacity));
}
