/**
 * A run of the handler, and what becomes of its answer: it is looked at before its bytes are written and again when they
 * are, and kept if nothing speaks against that.
 */
import type { RouteQuestion } from '../cache/index.js';
import type { Clock } from '../core/index.js';
import { exception, textOf, undeclaredVary, type AnswerPolicy, type Refusal } from './answer-policy.js';
import { cacheControl, forwardStatus, mark, mergedVary } from './cache-headers.js';
import type { Exchange } from './exchange.js';
import type { RefusalLog } from './refusal-log.js';
import { clientGone, failureOf, isServerError } from './route-failure.js';
import { BODY_HEADERS, etagOf, storedAnswer, type Sent, type StoredAnswer } from './stored-answer.js';
import type { Told } from './stored-reply.js';

/** One request for one answer. */
export interface Asked extends Told {
  readonly question: RouteQuestion;
}

export interface Made {
  /** What the handler returns, for Nest. */
  readonly value: Promise<unknown>;
  /** What was sent in the end, if it may be stored; it fails when the handler fails. */
  readonly answer: Promise<StoredAnswer | undefined>;
}

export interface HandlerRunsParts {
  readonly policy: AnswerPolicy;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
}

/** What is known of an answer before its bytes are written. */
interface Captured {
  readonly sent: Sent;
  /** `Vary` before the handler ran. */
  readonly varied: string;
  readonly forwarded: string;
  /** What the route's `unless` has said of the result. */
  readonly excepted: Refusal | undefined;
}

type Keep = (answer: StoredAnswer | undefined) => void;

/** For whoever waits for an answer that is not kept. */
const NOTHING = undefined;

export class HandlerRuns {
  readonly #policy: AnswerPolicy;
  readonly #refusals: RefusalLog;
  readonly #clock: Clock;

  constructor(parts: HandlerRunsParts) {
    this.#policy = parts.policy;
    this.#refusals = parts.refusals;
    this.#clock = parts.clock;
  }

  make(asked: Asked, forwarded = 'uri-miss'): Made {
    const { exchange, question } = asked;
    let value: Promise<unknown> = Promise.resolve();
    const answer = new Promise<StoredAnswer | undefined>((resolve, reject) => {
      const varied = textOf(exchange.answered('vary'));
      let known = false;
      let excepted: Refusal | undefined;
      mark(exchange, 'MISS', forwardStatus(forwarded, '; detail=not-stored'));
      const streamed = (): void => {
        if (known) return;
        known = true;
        this.#refusals.tell(question.route, 'stream');
        resolve(NOTHING);
      };
      exchange.capture({
        streamed,
        sent: (sent) => {
          known = true;
          return this.#captured(asked, { sent, varied, forwarded, excepted }, resolve);
        },
      });
      value = started(async () => {
        const result = await question.run();
        excepted = exception(question, result);
        return result;
      });
      value.catch((error: unknown) => {
        // An error below 500 is an answer: it is captured as such, and may be stored if the route says so.
        if (isServerError(error)) reject(exchange.abandoned ? clientGone(error) : failureOf(error));
      });
      exchange.onClose(() => {
        void value.then(ended, ended);
      });
      const ended = (): void => {
        // Sent past Nest, or never: the handler is done and so is the connection.
        this.#clock.turn(() => {
          streamed();
          resolve(NOTHING);
        });
      };
    });
    answer.catch(() => undefined);
    return { value, answer };
  }

  /** Before the bytes are written: their tag, and whether they will be stored. What it returns comes after. */
  #captured(asked: Asked, facts: Captured, resolve: Keep): () => void {
    const { exchange, question, home, route } = asked;
    const { sent, forwarded } = facts;
    const refusal = this.#refusalOf(asked, facts);
    if (refusal !== undefined) {
      this.#refusals.tell(question.route, refusal);
      exchange.setHeader('cache-status', forwardStatus(forwarded, `; detail=${refusal}`));
      return () => resolve(NOTHING);
    }
    const own = textOf(exchange.answered('etag'));
    const etag = own === '' ? etagOf(sent, home.key.join('\n')) : own;
    exchange.setHeader('etag', etag);
    const ttl = route.ttlS === undefined ? '' : `; ttl=${route.ttlS}`;
    exchange.setHeader('cache-status', forwardStatus(forwarded, `; stored${ttl}`));
    const headers = headersOf(exchange, question);
    if (exchange.answered('cache-control') === undefined) {
      exchange.setHeader('cache-control', cacheControl(route, { ageS: 0, personal: home.personal }));
    }
    const vary = mergedVary(textOf(exchange.answered('vary')), route.vary);
    if (vary !== '') exchange.setHeader('vary', vary);
    return () => {
      const late = this.#policy.refusesWritten(exchange, sent);
      if (late !== undefined) {
        this.#refusals.tell(question.route, late);
        resolve(NOTHING);
        return;
      }
      // By now the framework has said what it is, or added a charset to what the handler has said.
      const type = textOf(exchange.answered('content-type'));
      const rest = headers.filter(([name]) => name !== 'content-type');
      const all = type === '' ? rest : [...rest, ['content-type', type] as const];
      resolve(storedAnswer(sent, { headers: all, etag, at: this.#clock.wallNow() }));
    };
  }

  #refusalOf({ exchange, question, route }: Asked, facts: Captured): Refusal | undefined {
    const { sent, varied, excepted } = facts;
    const refusal = excepted ?? this.#policy.refuses(exchange, question, sent);
    if (refusal !== undefined) return refusal;
    const undeclared = undeclaredVary(varied, textOf(exchange.answered('vary')), route.vary);
    return undeclared.length === 0 ? undefined : 'answer-vary';
  }
}

function headersOf(exchange: Exchange, { options }: RouteQuestion): readonly (readonly [string, string])[] {
  const names = [...BODY_HEADERS, ...(options.headers ?? []).map((name) => name.toLowerCase())];
  return names.flatMap((name) => {
    const value = textOf(exchange.answered(name));
    return value === '' || name === 'set-cookie' ? [] : [[name, value] as const];
  });
}

async function started(run: () => unknown): Promise<unknown> {
  return run();
}
