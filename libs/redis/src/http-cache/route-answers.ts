/**
 * Answers of routes: out of the cache, or by running the handler, once for all who ask. Guards, the first half of
 * interceptors, and pipes have run when this is asked, whether the answer is stored or not.
 */
import type { IncomingMessage } from 'node:http';
import {
  ANEW,
  type CacheOutcome,
  type LoadOptions,
  type RouteAnswers,
  type RouteQuestion,
} from '../cache/index.js';
import { parseDuration, systemClock, type Clock } from '../core/index.js';
import { AnswerPolicy, type Home, type Refusal } from './answer-policy.js';
import { requestDirectives, wishesOf, type Wishes } from './cache-control.js';
import { forwardStatus, mark, type RouteHeaders } from './cache-headers.js';
import { Door } from './door.js';
import { partsOf, type Exchange } from './exchange.js';
import { HandlerRuns, type Asked } from './handler-run.js';
import type { ResolvedHttpCache } from './http-cache.options.js';
import { exchangeOf } from './platform-exchange.js';
import { RefusalLog } from './refusal-log.js';
import { errorOf, isClientGone, isServerError } from './route-failure.js';
import { repeat, type Dispatch } from './shadow-request.js';
import { isStoredAnswer, type StoredAnswer } from './stored-answer.js';
import { StoredReplies } from './stored-reply.js';

export interface HttpAnswersParts {
  readonly settings: ResolvedHttpCache;
  /** Hands a request to the application's server. */
  readonly dispatch: Dispatch;
  readonly warn?: ((message: string) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/** The handler has been started for this request: what it returns is for Nest. */
interface Lead {
  readonly value: Promise<unknown>;
}

/** What becomes known of a request while its answer is looked for. */
interface Run {
  /** What is stored will not do. */
  readonly anew: boolean;
  outcome: CacheOutcome | undefined;
  lead: Lead | undefined;
  tellLead: ((lead: Lead) => void) | undefined;
}

type Keep = (answer: StoredAnswer | undefined) => void;

const GATEWAY_TIMEOUT = 504;
/** Longer than anything is kept; `max-stale` without a number means that. */
const LONGEST_STALE_S = 31_536_000;
/** For answers that must not wait for a load that was stopped. */
const NOTHING = undefined;

export class HttpAnswers implements RouteAnswers {
  readonly door: Door;
  readonly #settings: ResolvedHttpCache;
  readonly #dispatch: Dispatch;
  readonly #clock: Clock;
  readonly #policy: AnswerPolicy;
  readonly #replies: StoredReplies;
  readonly #refusals: RefusalLog;
  readonly #runs: HandlerRuns;
  /** Requests that were made here, to refresh an answer. */
  readonly #refreshes = new WeakMap<IncomingMessage, { keep: Keep; fail: (error: unknown) => void }>();

  constructor(parts: HttpAnswersParts) {
    this.#settings = parts.settings;
    this.#dispatch = parts.dispatch;
    const { warn = () => undefined } = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#policy = new AnswerPolicy(parts.settings);
    this.#replies = new StoredReplies(this.#clock);
    this.#refusals = new RefusalLog(this.#replies, warn);
    this.#runs = new HandlerRuns({ policy: this.#policy, refusals: this.#refusals, clock: this.#clock });
    this.door = new Door({
      policy: this.#policy,
      replies: this.#replies,
      warn,
      isLeftAside: (exchange) => this.#wishesOf(exchange) !== undefined || this.#refreshes.has(exchange.raw),
    });
  }

  answer(question: RouteQuestion): unknown {
    const parts = partsOf(question.context);
    if (parts === undefined) return question.run();
    const { request, response } = parts;
    const exchange = exchangeOf(request, response);
    const { method } = exchange;
    if (method !== 'GET' && method !== 'HEAD') return question.run();
    const arrival = this.#policy.arrivalOf(exchange);
    const verdict = this.#policy.judge(exchange, question, arrival);
    if ('refusal' in verdict) return this.#bypass(exchange, question, verdict.refusal);
    const asked = { exchange, question, home: verdict.home, route: this.#replies.routeOf(question) };
    const refresh = this.#refreshes.get(exchange.raw);
    if (refresh !== undefined) return this.#refreshed(asked, refresh);
    if (question.options.atDoor === true) this.door.learn(exchange, question, arrival);
    const wishes = this.#wishesOf(exchange);
    if (wishes?.revalidate === true && !wishes.only) return this.#renewed(asked);
    if (wishes !== undefined || method === 'HEAD' || verdict.home.readOnly !== undefined) {
      return this.#storedIfFit(asked, wishes);
    }
    return this.#storedOrMade(asked);
  }

  // -- ways to an answer ------------------------------------------------------------------------------------

  /** A stored answer, or the handler's, which is stored; one handler runs for all who ask. */
  #storedOrMade(asked: Asked, anew = false): Promise<unknown> {
    const { question, home } = asked;
    const run: Run = { anew, outcome: undefined, lead: undefined, tellLead: undefined };
    const loader = (): Promise<StoredAnswer | undefined> => {
      // Answered already: this is a load behind the readers, and has no response of its own to write.
      if (run.outcome !== undefined) return this.#again(asked);
      const made = this.#runs.make(asked, anew ? 'request' : 'uri-miss');
      run.lead = { value: made.value };
      run.tellLead?.(run.lead);
      return made.answer;
    };
    const { ttl, stale, staleOnError, negativeTtl, timeout } = question.load;
    const answering = question.cache.getOrSet<unknown>(home.key, loader, {
      // Name by name: to spread an object of unknown shape costs more here than the read.
      ttl,
      stale,
      staleOnError,
      negativeTtl,
      timeout,
      tags: home.tags,
      [ANEW]: anew,
      onOutcome: (known) => {
        run.outcome = known;
      },
    });
    const { outcome } = run;
    // At once from memory: nobody can have been asked to load.
    if (outcome !== undefined) return answering.then((found) => this.#give(asked, found, outcome));
    return this.#ledOrGiven(asked, run, answering);
  }

  /** Whatever comes first: this request's own handler is started, or there is an answer. */
  async #ledOrGiven(asked: Asked, run: Run, answering: Promise<unknown>): Promise<unknown> {
    const leading = new Promise<Lead>((resolve) => {
      run.tellLead = resolve;
    });
    // It may fail before the handler ends, and is looked at after that.
    const answered = answering.then(nothing, nothing);
    const first = run.lead ?? (await Promise.race([leading, answered]));
    if (first !== undefined) return this.#led(asked, first, answering);
    let found: unknown;
    try {
      found = await answering;
    } catch (failure) {
      // Another client's departure: one of those who are still here leads.
      if (isClientGone(failure) && !asked.exchange.abandoned) return this.#storedOrMade(asked, run.anew);
      throw errorOf(failure);
    }
    return this.#give(asked, found, run.outcome ?? 'loaded');
  }

  /** This request's own handler makes the answer. If it fails, a stale one may be better than the error. */
  async #led(asked: Asked, { value }: Lead, answering: Promise<unknown>): Promise<unknown> {
    try {
      return await value;
    } catch (error) {
      if (!isServerError(error)) throw error;
      const instead = await answering.catch(() => NOTHING);
      if (!isStoredAnswer(instead)) throw error;
      return this.#give(asked, instead, 'stale');
    }
  }

  /** A stored answer if it is as the client wants it; otherwise what is right for this kind of request. */
  async #storedIfFit(asked: Asked, wishes: Wishes | undefined): Promise<unknown> {
    const { exchange, question, home, route } = asked;
    const [found, outcome] = await this.#peek(asked, wishes?.maxStaleS ?? 0);
    if (isStoredAnswer(found) && isFit(this.#replies.ageOf(found), wishes, route))
      return this.#give(asked, found, outcome);
    if (wishes?.only === true) {
      this.#serveNothing(exchange);
      return undefined;
    }
    if (exchange.method !== 'HEAD' && home.readOnly === undefined) {
      return found === undefined ? this.#storedOrMade(asked) : this.#renewed(asked);
    }
    // HEAD, and requests that may not leave a trace: the handler answers, and nothing is stored.
    mark(exchange, 'MISS', forwardStatus(exchange.method === 'HEAD' ? 'method' : 'uri-miss', reason(home)));
    return question.run();
  }

  /** What is stored, as stale as the route or the client puts up with. */
  async #peek({ question, home }: Asked, maxStaleS: number): Promise<[unknown, CacheOutcome]> {
    let outcome: CacheOutcome = 'miss';
    const stale = Math.max(staleS(question.load.stale), Math.min(maxStaleS, LONGEST_STALE_S));
    const found = await question.cache.get<unknown>(home.key, {
      ...(stale === 0 ? {} : { stale }),
      onOutcome: (known) => {
        outcome = known;
      },
    });
    return [found, outcome];
  }

  /** The client insists, and may: the handler runs, and its answer replaces the stored one if none was invalidated. */
  #renewed(asked: Asked): unknown {
    if (asked.home.readOnly !== undefined) return this.#runs.make(asked, 'request').value;
    return this.#storedOrMade(asked, true);
  }

  /** A request of our own, made to refresh an answer. */
  #refreshed(asked: Asked, refresh: { keep: Keep; fail: (error: unknown) => void }): unknown {
    const made = this.#runs.make(asked);
    made.answer.then(refresh.keep, refresh.fail);
    return made.value;
  }

  #again({ exchange }: Asked): Promise<StoredAnswer | undefined> {
    const { url, raw } = exchange;
    return new Promise((resolve, reject) => {
      const ended = repeat({ url, headers: raw.headers, socket: raw.socket }, (request, response) => {
        this.#refreshes.set(request, { keep: resolve, fail: reject });
        this.#dispatch(request, response);
      });
      // A guard may have said no this time: then nothing is stored.
      void ended.then(() => this.#clock.turn(() => resolve(NOTHING)));
    });
  }

  // -- what is sent -----------------------------------------------------------------------------------------

  /** A stored answer in place of what Nest would send; without one this request's handler runs, for itself. */
  #give(asked: Asked, found: unknown, outcome: CacheOutcome): unknown {
    const { exchange, question } = asked;
    if (!isStoredAnswer(found)) {
      mark(exchange, 'MISS', forwardStatus('uri-miss', '; detail=not-stored'));
      return question.run();
    }
    exchange.serve(this.#replies.of(asked, found, outcome));
    return undefined;
  }

  /** `only-if-cached`, and there is nothing (RFC 9111, section 5.2.1.7). */
  #serveNothing(exchange: Exchange): void {
    const headers = [['cache-status', forwardStatus('request', '; detail=only-if-cached')] as const];
    exchange.serve({ status: GATEWAY_TIMEOUT, headers, body: '', encoding: 'utf8', text: true });
  }

  #bypass(exchange: Exchange, question: RouteQuestion, refusal: Refusal): unknown {
    this.#refusals.tell(question.route, refusal);
    mark(exchange, 'BYPASS', forwardStatus('bypass', `; detail=${refusal}`));
    return question.run();
  }

  /** Undefined when it has none, or when they do not count. */
  #wishesOf({ raw: { headers } }: Exchange): Wishes | undefined {
    if (!this.#settings.honourRequests) return undefined;
    const directives = requestDirectives(headers);
    return directives.size === 0 ? undefined : wishesOf(directives);
  }
}

/** `max-age`, `min-fresh` and `max-stale`. A route that names no `ttl` has no lifetime to measure the latter two by. */
function isFit(ageS: number, wishes: Wishes | undefined, { ttlS }: RouteHeaders): boolean {
  if (wishes === undefined) return true;
  if (wishes.revalidate || ageS > wishes.maxAgeS) return false;
  const left = ttlS === undefined ? Infinity : ttlS - ageS;
  return left >= wishes.minFreshS || (wishes.minFreshS === 0 && -left <= wishes.maxStaleS);
}

function staleS(stale: LoadOptions['stale']): number {
  return stale === undefined ? 0 : parseDuration(stale, 'stale') / 1_000;
}

function reason({ readOnly }: Home): string {
  return readOnly === undefined ? '' : `; detail=${readOnly}`;
}

function nothing(): typeof NOTHING {
  return NOTHING;
}
