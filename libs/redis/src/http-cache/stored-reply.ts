/** What goes out when an answer is stored: all of it, or that the client has it already. */
import type { CachedRoute, CacheOutcome } from '../cache/index.js';
import { telemetryChannel, type Clock, type TelemetryChannel } from '../core/index.js';
import { AnswerHeads } from './answer-head.js';
import { textOf, type Home } from './answer-policy.js';
import { routeHeaders, type RouteHeaders } from './cache-headers.js';
import { isNotModified } from './conditional.js';
import type { Exchange, Reply } from './exchange.js';
import type { StoredAnswer } from './stored-answer.js';

/** Who is told an answer. */
export interface Told {
  readonly exchange: Exchange;
  readonly question: CachedRoute;
  readonly home: Home;
  readonly route: RouteHeaders;
}

export class StoredReplies {
  readonly #clock: Clock;
  readonly #telemetry: TelemetryChannel = telemetryChannel('http-cache');
  readonly #routes = new WeakMap<object, RouteHeaders>();
  readonly #heads = new AnswerHeads();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of({ exchange, question, home, route }: Told, found: StoredAnswer, outcome: CacheOutcome): Reply {
    const made = outcome === 'loaded' || outcome === 'bypass';
    const said = {
      status: textOf(exchange.answered('cache-status')),
      vary: textOf(exchange.answered('vary')),
    };
    const facts = { outcome, ageS: this.ageOf(found), route, personal: home.personal };
    const head = this.#heads.of(found, facts, said);
    this.publish(question.route, made ? 'collapsed' : outcome);
    if (isNotModified(exchange, found)) {
      return { status: 304, headers: head.repeated, body: '', encoding: 'utf8', text: true };
    }
    const { status, body } = found;
    // Each character is a byte: then the cheaper encoding says the same.
    const encoding = body.length === found.length ? 'latin1' : found.encoding;
    return { status, headers: head.all, body, encoding, text: found.encoding === 'utf8' };
  }

  ageOf({ at }: StoredAnswer): number {
    return Math.max(0, Math.floor((this.#clock.wallNow() - at) / 1_000));
  }

  /** What all answers of a route have in their heads. */
  routeOf({ options }: CachedRoute): RouteHeaders {
    let route = this.#routes.get(options);
    if (route === undefined) {
      route = routeHeaders(options);
      this.#routes.set(options, route);
    }
    return route;
  }

  publish(subject: string, outcome: string): void {
    if (this.#telemetry.active) this.#telemetry.publish({ name: 'http-cache.answer', subject, outcome });
  }
}
