/**
 * The rules of a route applied to a call: which of them, whose, how much, and what to tell the client. Guard,
 * interceptor and middleware are thin shells around it.
 */
import type { Key } from '../connection/index.js';
import { LRUCache } from 'lru-cache';
import type { Question, RateAsk } from './ask.js';
import { ClientAddress } from './client-address.js';
import type { LimitState, RateDecision } from './decision.js';
import { RememberedDecision } from './denial-memory.js';
import { EndpointTable } from './endpoint-limits.js';
import { Identity } from './identity.js';
import { LIMIT_DEFAULTS, type Limit } from './limit.options.js';
import { headersOf, retryAfterOf, type HeaderField, type RateLimitHeaders } from './rate-headers.js';
import { readCall, RateLimitCall, type CallContext } from './rate-limit-call.js';
import type { RateLimitHttpOptions } from './rate-limit.options.js';
import { phaseOf, type LimitPhase, type RateLimitRule } from './rate-limit.rules.js';
import type { RateLimiter } from './rate-limiter.js';
import { InvalidRateLimitError } from './rate-limit.errors.js';
import { nameRules } from './rule-names.js';

/** The rules of a route, from the outside in; those of all routes are given. */
type RuleReader = (context: CallContext, everywhere: readonly RateLimitRule[]) => readonly RateLimitRule[];

/** A rule whose limit and cost are the same for every call, so that nothing is made anew for each. */
interface PlannedRule {
  readonly rule: RateLimitRule;
  readonly fixed: Limit | undefined;
}

/** The rules of one place and phase. */
interface PlannedRules {
  readonly rules: readonly PlannedRule[];
  /** What is most of all: fixed limits by address, for which nobody has to be asked. */
  readonly plain: readonly Limit[] | undefined;
  /** What passes has something to give back. */
  readonly holdsPlaces: boolean;
  /** Questions about them, by address: those who come often come often in a row. Bounded, for clients choose theirs. */
  readonly questions: LRUCache<string, Question>;
}

type Plan = Readonly<Record<LimitPhase, PlannedRules>>;

/** What is left at the call's context, that it was checked, and at the response, what it was told. */
type Marked = object & Record<symbol, readonly LimitState[] | undefined>;

const NOTHING_TOLD: readonly LimitState[] = [];

export type Decided = RateDecision | undefined;

/** Told to whoever operates the application, once each. */
export type Warn = (message: string) => void;

const UNTRUSTED =
  'requests arrive with X-Forwarded-For and rateLimit.trustProxy is off: if a proxy stands in front, all its ' +
  'clients share one limit; say how many proxies there are, or their addresses';
const UNSEEN_USERS =
  'rateLimit.limits has rules that count users, and the guard alone runs before users are known; use ' +
  'rateLimitEverywhere(), which also runs after the guards';
const UNHELD_PLACES =
  "rateLimit.limits has rules by 'concurrency', and the guard alone could not give their places back: they hold " +
  'only where an interceptor of the limits runs; use rateLimitEverywhere(), which has one on every route';

export class RouteLimits {
  readonly addresses: ClientAddress;
  readonly #limiter: RateLimiter;
  readonly #identity: Identity;
  readonly #headers: RateLimitHeaders;
  readonly #everywhere: readonly RateLimitRule[];
  readonly #endpoints: EndpointTable;
  readonly #planned = new WeakMap<readonly RateLimitRule[], PlannedRules>();
  readonly #plans = new WeakMap<object, Map<object, Plan>>();
  // At the objects themselves: a weak map with an entry for every request is what collecting garbage then goes by.
  readonly #seen = Symbol('anbar:rate-limit-seen');
  readonly #told = Symbol('anbar:rate-limit-told');
  readonly #warn: Warn;
  #intercepted = false;
  readonly #warned = new Set<string>();

  constructor(limiter: RateLimiter, options: RateLimitHttpOptions = {}, warn: Warn = () => undefined) {
    const { trustProxy, ipv6Prefix, headers = 'draft', identify, limits = [], endpoints } = options;
    this.#limiter = limiter;
    this.addresses = new ClientAddress({ trustProxy, ipv6Prefix, onUntrusted: () => warn(UNTRUSTED) });
    this.#identity = new Identity(identify);
    this.#headers = headers;
    this.#everywhere = nameRules('rateLimit.limits', limits, LIMIT_DEFAULTS.name);
    this.#endpoints = new EndpointTable(endpoints);
    this.#warn = warn;
  }

  /** An interceptor runs on every route, so that rules of all routes may count users. */
  interceptedEverywhere(): void {
    this.#intercepted = true;
  }

  endpointRules(method: string, url: string): PlannedRules {
    const rules = this.#endpoints.rulesFor(method, url);
    const known = this.#planned.get(rules);
    if (known !== undefined) return known;
    const planned = planRules(rules);
    this.#planned.set(rules, planned);
    return planned;
  }

  holdsPlaces(context: CallContext, phase: LimitPhase, rulesOf: RuleReader): boolean {
    return this.#planOf(context, rulesOf)[phase].holdsPlaces;
  }

  /** Undefined where this phase has nothing to say; at once where no trip is needed. */
  check(context: CallContext, phase: LimitPhase, rulesOf: RuleReader): Decided | Promise<Decided> {
    const planned = this.#planOf(context, rulesOf)[phase];
    const marked = context as object as Marked;
    if (planned.rules.length === 0 || marked[this.#seen] !== undefined) return undefined;
    // A route may have this guard from several places; one call of it goes through all in the same context.
    marked[this.#seen] = NOTHING_TOLD;
    return this.apply(planned, readCall(context, this.addresses));
  }

  /** Consumes, and sets the headers. */
  apply({ rules, plain, questions }: PlannedRules, call: RateLimitCall): Decided | Promise<Decided> {
    if (plain !== undefined) {
      const { ip } = call;
      let question = questions.get(ip);
      if (question === undefined) {
        question = this.#limiter.question([{ subject: ['ip', ip], limits: plain }]);
        questions.set(ip, question);
      }
      return this.#consume(question, call);
    }
    return this.#asksOf(rules, call).then((asks) =>
      asks.length === 0 ? undefined : this.#consume(this.#limiter.question(asks), call),
    );
  }

  #consume(question: Question, call: RateLimitCall): RateDecision | Promise<RateDecision> {
    const decision = this.#limiter.decideOn(question);
    return decision instanceof Promise
      ? decision.then((its) => this.#tell(call.response, its))
      : this.#tell(call.response, decision);
  }

  #planOf(context: CallContext, rulesOf: RuleReader): Plan {
    const handler = context.getHandler();
    const owner = context.getClass();
    const known = this.#plans.get(handler)?.get(owner);
    if (known !== undefined) return known;
    const phases: Record<LimitPhase, RateLimitRule[]> = { 'before-auth': [], 'after-auth': [] };
    for (const rule of rulesOf(context, this.#everywhere)) phases[this.#phaseOf(rule)].push(rule);
    const plan: Plan = {
      'before-auth': planRules(phases['before-auth']),
      'after-auth': planRules(phases['after-auth']),
    };
    // The same inherited method belongs to several controllers.
    const byOwner = this.#plans.get(handler) ?? new Map<object, Plan>();
    this.#plans.set(handler, byOwner.set(owner, plan));
    return plan;
  }

  /** What nobody would look at later is looked at now, but for places: what is taken has to be given back. */
  #phaseOf(rule: RateLimitRule): LimitPhase {
    const phase = phaseOf(rule);
    if (phase === 'before-auth' || this.#intercepted || !this.#everywhere.includes(rule)) return phase;
    const holds = rule.algorithm === 'concurrency';
    this.#warnOnce(holds ? UNHELD_PLACES : UNSEEN_USERS);
    return holds ? phase : 'before-auth';
  }

  #warnOnce(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.#warn(message);
  }

  /** Limits of one subject become one question, in the order of the rules. */
  async #asksOf(rules: readonly PlannedRule[], call: RateLimitCall): Promise<readonly RateAsk[]> {
    const asks: { subject: Key; limits: Limit[]; cost: number; print: string }[] = [];
    for (const { rule, fixed } of rules) {
      if (rule.skip !== undefined && (await rule.skip(call))) continue;
      const subject = await this.#identity.subjectOf(rule, call);
      if (subject === undefined) continue;
      const limit = fixed ?? (await limitFor(rule, call));
      const cost = typeof rule.cost === 'function' ? await rule.cost(call) : (rule.cost ?? 1);
      const print = `${cost}|${typeof subject === 'string' ? subject : subject.join('\n')}`;
      const same = asks.find((ask) => ask.print === print);
      if (same === undefined) asks.push({ subject, limits: [limit], cost, print });
      else same.limits.push(limit);
    }
    return asks;
  }

  #tell(response: object | undefined, decision: RateDecision): RateDecision {
    if (response === undefined) return decision;
    const its = response as Marked;
    const before = its[this.#told];
    if (before === undefined && decision instanceof RememberedDecision) {
      setHeaders(response, decision.answer(this.#fieldsOf));
      return decision;
    }
    const states = before === undefined ? decision.limits : toldOf(before, decision.limits);
    its[this.#told] = states;
    setHeaders(response, headersOf(states, this.#headers));
    if (!decision.allowed) setHeaders(response, retryAfterOf(decision));
    return decision;
  }

  readonly #fieldsOf = (decision: RateDecision): readonly HeaderField[] => [
    ...headersOf(decision.limits, this.#headers),
    ...retryAfterOf(decision),
  ];
}

/** What a header may hold wherever it goes through: proxies have room for 4 KB of all of them. */
const MOST_TOLD = 16;

/** All fields of a GraphQL request share one response: each limit is told once, by the state that leaves least. */
function toldOf(before: readonly LimitState[], now: readonly LimitState[]): readonly LimitState[] {
  const told = new Map<string, LimitState>();
  for (const state of before) told.set(state.name, state);
  for (const state of now) {
    const known = told.get(state.name);
    if (known === undefined || state.remaining <= known.remaining) told.set(state.name, state);
  }
  const states = [...told.values()];
  if (states.length <= MOST_TOLD) return states;
  const kept = new Set(states.toSorted((a, b) => a.remaining - b.remaining).slice(0, MOST_TOLD));
  return states.filter((state) => kept.has(state));
}

/** What sets headers in one framework or the other. */
interface HeaderBearer {
  readonly setHeader?: unknown;
  readonly header?: unknown;
  readonly headersSent?: unknown;
  readonly sent?: unknown;
}

/** On both adapters, and on the bare response a middleware of Fastify gets. */
export function setHeaders(response: object, fields: readonly HeaderField[]): void {
  const { setHeader, headersSent, sent }: HeaderBearer = response;
  const set = setHeader ?? (response as HeaderBearer).header;
  if (typeof set !== 'function' || headersSent === true || sent === true) return;
  for (const [name, value] of fields) {
    (set as (this: object, name: string, value: string) => unknown).call(response, name, value);
  }
}

const QUESTIONS_KEPT = 1_000;

function planRules(given: readonly RateLimitRule[]): PlannedRules {
  const rules = given.map(planRule);
  const plain: Limit[] = [];
  const holdsPlaces = given.some(({ algorithm }) => algorithm === 'concurrency');
  const questions = new LRUCache<string, Question>({ max: QUESTIONS_KEPT });
  for (const { rule, fixed } of rules) {
    const asks = rule.skip !== undefined || rule.cost !== undefined || (rule.by ?? 'ip') !== 'ip';
    if (asks || fixed === undefined) return { rules, plain: undefined, holdsPlaces, questions };
    plain.push(fixed);
  }
  return { rules, plain, holdsPlaces, questions };
}

function planRule(rule: RateLimitRule): PlannedRule {
  const { limit } = rule;
  return { rule, fixed: typeof limit === 'number' ? limitOf(rule, { limit }) : undefined };
}

async function limitFor(rule: RateLimitRule, call: RateLimitCall): Promise<Limit> {
  if (typeof rule.limit === 'number') return limitOf(rule, { limit: rule.limit });
  const terms = await rule.limit(call);
  if (typeof terms === 'number') return limitOf(rule, { limit: terms });
  if (typeof terms === 'object' && terms !== null) return limitOf(rule, terms);
  throw new InvalidRateLimitError(
    `limit '${rule.name ?? 'default'}': its function returned ${String(terms)}`,
    {
      hint: 'return a number, or { limit, window, burst }',
    },
  );
}

function limitOf(rule: RateLimitRule, terms: Partial<Limit> & { limit: number }): Limit {
  return {
    name: rule.name,
    limit: terms.limit,
    window: terms.window ?? rule.window,
    burst: terms.burst ?? rule.burst,
    algorithm: rule.algorithm,
    shadow: rule.shadow,
    penalty: rule.penalty,
    onStoreError: rule.onStoreError,
    lease: rule.lease,
    hold: rule.hold,
  };
}
