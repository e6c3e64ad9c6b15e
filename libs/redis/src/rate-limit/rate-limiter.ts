/**
 * The limiter: asks Redis in one step whether limits let something pass, and knows what to do when Redis does
 * not answer.
 */
import { OutcomeUnknownError, keySlot, type Key, type RedisClient } from '../connection/index.js';
import { isRedisModuleError, spans, systemClock, type Clock } from '../core/index.js';
import { Question, Questions, type AskedLimit, type RateAsk } from './ask.js';
import {
  decide,
  refuseUnseen,
  stateOf,
  type DecisionSource,
  type LimitState,
  type RateDecision,
} from './decision.js';
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
import { NativeWindow } from './native-window.js';
import { TakeBatch, type TakeCall } from './take-batch.js';
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
  readonly #native: NativeWindow;
  readonly #denials: DenialMemory | undefined;
  readonly #leases: TokenLeases;
  readonly #places: HeldPlaces;
  readonly #local: LocalCount;
  readonly #counters = new LimiterCounters();
  /** Redis was lost and one question is on its way to see whether it is back; nobody else waits for that. */
  #isBeingTried = false;

  constructor(surroundings: RateLimiterSurroundings, options: RateLimiterOptions = {}) {
    const { client, namespace, clock = systemClock } = surroundings;
    this.#client = client;
    this.#clock = clock;
    this.#settings = resolveRateLimiter(options);
    this.#keys = new RateLimitKeys(namespace);
    this.#questions = new Questions(this.#keys, this.#settings.onStoreError);
    this.#batch = new TakeBatch(client, clock, { timeout: this.#settings.timeout });
    this.#native = new NativeWindow(client, { timeout: this.#settings.timeout });
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
    return this.decideOn(this.question(asks, options));
  }

  /** To be kept by whoever asks the same over and over, for {@link decideOn}. */
  question(asks: readonly RateAsk[], options: ConsumeOptions = {}): Question {
    return this.#questions.of(asks, options.cost);
  }

  /** As {@link decide}. */
  decideOn(question: Question): RateDecision | Promise<RateDecision> {
    const startedAt = this.#clock.now();
    const known = this.#withoutTrip(question, startedAt);
    return known === undefined ? this.#decide(question, startedAt) : this.#count(known, question, startedAt);
  }

  /** What {@link consume} would answer; takes nothing and writes nothing. */
  async peek(subject: Key, limits: Limits, options: ConsumeOptions = {}): Promise<RateDecision> {
    return this.#ask(this.question([{ subject, limits }], options), 'peek');
  }

  /**
   * Gives back what was taken: for requests that should not count after all. Returns what remains, per limit.
   * A limit that has meanwhile reset is not made to hold more than it can.
   * @throws when Redis does not answer: nothing is known to have been given back then
   */
  async refund(subject: Key, limits: Limits, options: ConsumeOptions = {}): Promise<readonly number[]> {
    return this.#refund(this.question([{ subject, limits }], options).limits);
  }

  /** As if nothing had ever been taken, penalties included. Held places stay with their holders. */
  async reset(subject: Key, limits: Limits): Promise<void> {
    const asked = this.question([{ subject, limits }]);
    const keys = asked.limits.flatMap(({ limit, key, mark }) => [
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
    this.#native.close();
    await this.#places.close();
    await this.#local.close();
    this.#forget();
  }

  /** By a denial that is remembered, or with a token that was taken before. */
  #withoutTrip(question: Question, now: number): RateDecision | undefined {
    const remembered = this.#denials?.recall(question, now);
    if (remembered !== undefined) return remembered;
    const { leased } = question;
    if (leased === undefined) return undefined;
    const state = this.#leases.spend(question, now);
    return state === undefined
      ? undefined
      : decide({ limits: [stateOf(leased.limit, state)], source: 'lease' });
  }

  #decide(question: Question, startedAt: number): Promise<RateDecision> {
    const asking = spans.active ? this.#askInSpan(question) : this.#ask(question, 'consume');
    return asking.then((decision) => {
      if (!decision.allowed && decision.source === 'store') {
        this.#denials?.remember(question, decision, startedAt);
      }
      return this.#count(decision, question, startedAt);
    });
  }

  /** A question that leaves the process; what is known without a trip has no span. */
  #askInSpan(question: Question): Promise<RateDecision> {
    const subject = question.limits.map(({ limit }) => limit.name).join(',');
    return spans.around({ name: 'rate-limit.ask', subject, kind: 'client' }, async (span) => {
      const decision = await this.#ask(question, 'consume');
      span.set('rate_limit.allowed', decision.allowed);
      return decision;
    });
  }

  #count(decision: RateDecision, question: Question, startedAt: number): RateDecision {
    return this.#counters.count(decision, question.limits, startedAt, this.#clock);
  }

  // Without `await`, as far as the usual way goes: each is a turn of the queue of promises, for every request.
  #ask(question: Question, mode: Mode): Promise<RateDecision> {
    const holder = question.holdsPlaces ? this.#places.newHolder() : '';
    if (this.#counters.isStoreLost) {
      if (this.#isBeingTried) return this.#withoutStore(question.limits, mode, holder);
      // In a cluster one server is away and the others are not: there each question finds out for itself.
      this.#isBeingTried = this.#client.topology !== 'cluster';
    }
    return this.#askStore(question, mode, holder).then(
      (decision) => {
        this.#isBeingTried = false;
        this.#counters.storeBack(this.#clock);
        return decision;
      },
      (error: unknown) => {
        this.#isBeingTried = false;
        if (!isRedisModuleError(error)) throw error;
        this.#counters.storeLost(error.code, this.#clock.now());
        if (error instanceof OutcomeUnknownError && mode === 'consume') this.#giveUp(question.limits, holder);
        return this.#withoutStore(question.limits, mode, holder);
      },
    );
  }

  #askStore(question: Question, mode: Mode, holder: string): Promise<RateDecision> {
    const { leased } = question;
    if (leased !== undefined && mode === 'consume') return this.#askWithLease(question, leased);
    if (this.#client.topology !== 'cluster') return this.#askOne(question, mode, holder);
    const slots = bySubject(question);
    if (slots.length === 1) return this.#askOne(question, mode, holder);
    return mode === 'consume'
      ? this.#askInTurn(question, slots, holder)
      : this.#peekAll(question, slots, holder);
  }

  async #askWithLease(question: Question, asked: AskedLimit): Promise<RateDecision> {
    const fetch = async (want: number): Promise<TakeState> => {
      const [state] = await this.#batch.take({ question, mode: 'consume', want });
      return state ?? { verdict: 'denied', remaining: 0, wait: 0, reset: 0, charge: 0 };
    };
    const { state, own } = await this.#leases.take(question, asked, fetch);
    return decide({ limits: [stateOf(asked.limit, state)], source: own ? 'lease' : 'store' });
  }

  #take(call: TakeCall): Promise<readonly TakeState[]> {
    if (call.mode !== 'consume' || !this.#native.isFor(call.question)) return this.#batch.take(call);
    return this.#native
      .take(call.question)
      .then((state) => (state === undefined ? this.#batch.take(call) : [state]));
  }

  #askOne(question: Question, mode: Mode, holder: string): Promise<RateDecision> {
    return this.#take({ question, mode, holder }).then((states) =>
      this.#conclude(question.limits, states, { mode, holder, source: 'store' }),
    );
  }

  async #peekAll(question: Question, slots: readonly Question[], holder: string): Promise<RateDecision> {
    const said: Said = new Map();
    const looks = slots.map(async (slot) => {
      hear(said, slot, await this.#take({ question: slot, mode: 'peek', holder }));
    });
    await Promise.all(looks);
    return decide({ limits: inOrder(question, said), source: 'store' });
  }

  /** The one most likely to deny first; what was taken before it is given back. */
  async #askInTurn(question: Question, slots: readonly Question[], holder: string): Promise<RateDecision> {
    const said: Said = new Map();
    const charged: (readonly AskedLimit[])[] = [];
    const taken: RateDecision[] = [];
    const release = async (): Promise<void> => void (await Promise.all(taken.map((each) => each.release())));
    const giveBack = (): Promise<unknown> =>
      Promise.allSettled([...charged.map((limits) => this.#refund(limits)), release()]);
    for (const slot of slots.toSorted((a, b) => narrowest(a) - narrowest(b))) {
      const states = await this.#take({ question: slot, mode: 'consume', holder }).catch(
        async (error: unknown) => {
          await giveBack();
          throw error;
        },
      );
      hear(said, slot, states);
      const decision = this.#conclude(slot.limits, states, { mode: 'consume', holder, source: 'store' });
      if (!decision.allowed) {
        await giveBack();
        break;
      }
      taken.push(decision);
      // A shadow that is used up passes, and is charged nothing.
      const paid = slot.limits.filter((asked) => (said.get(asked)?.charge ?? 0) > 0);
      if (paid.length > 0) charged.push(paid);
    }
    return decide({ limits: inOrder(question, said), source: 'store', release });
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

  /** Places that Redis may have given, or may be about to give, to a call that no longer waits for them. */
  #giveUp(limits: readonly AskedLimit[], holder: string): void {
    if (holder === '') return;
    for (const { key, limit } of limits) {
      if (limit.code === 'c') this.#places.giveUp(this.#client, key, holder, limit.unit);
    }
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

function isHeld(asked: AskedLimit | undefined, state: TakeState | undefined): boolean {
  return asked?.limit.code === 'c' && state !== undefined && state.charge > 0;
}

/** What was said of each limit, where their slots are asked one by one. */
type Said = Map<AskedLimit, TakeState>;

function hear(said: Said, { limits }: Question, states: readonly TakeState[]): void {
  for (const [i, asked] of limits.entries()) said.set(asked, states[i] ?? MISSING);
}

/** As the limits were given; none of those that nobody was asked about. */
function inOrder({ limits }: Question, said: Said): readonly LimitState[] {
  return limits.flatMap((asked) => {
    const state = said.get(asked);
    return state === undefined ? [] : [stateOf(asked.limit, state)];
  });
}

/** Limits that share a slot can be asked in one step. */
function bySubject(question: Question): readonly Question[] {
  if (question.limits.length === 1) return [question];
  const slots = new Map<number, AskedLimit[]>();
  for (const asked of question.limits) {
    const slot = keySlot(asked.key);
    const list = slots.get(slot);
    if (list === undefined) slots.set(slot, [asked]);
    else list.push(asked);
  }
  return slots.size === 1 ? [question] : [...slots.values()].map((limits) => new Question(limits));
}

function narrowest({ limits }: Question): number {
  return Math.min(...limits.map(({ limit }) => limit.capacity));
}
