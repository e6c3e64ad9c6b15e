/** Which requests may be answered from the cache, and which answers may be stored. Everything else says why not. */
import { isObservable } from 'rxjs';
import type { CachedRoute, RouteQuestion } from '../cache/index.js';
import { onlyParameters, Origins, PlainKeys, Targets, varyingBy, type AnswerKey } from './answer-key.js';
import { directivesOf, requestDirectives } from './cache-control.js';
import type { Exchange } from './exchange.js';
import { NAMELESS, nameOf, type ResolvedHttpCache } from './http-cache.options.js';
import { saysSomething, TellingHeaders, type Subjects } from './telling-headers.js';
import { lengthOf, type Sent } from './stored-answer.js';

export type Refusal =
  | 'credentials'
  | 'no-principal'
  | 'no-context'
  | 'override-header'
  | 'precondition'
  | 'request-no-store'
  | 'unlisted-query'
  | 'status'
  | 'set-cookie'
  | 'answer-no-store'
  | 'answer-private'
  | 'answer-vary'
  | 'content-encoding'
  | 'too-large'
  | 'unless'
  | 'unless-arguments'
  | 'stream';

/** What the log says once per route and reason. */
export const HINTS: Readonly<Partial<Record<Refusal, string>>> = {
  credentials:
    "the request carries credentials and the key names nobody; write by: 'user', or by: 'everyone' if the answer is the same for all",
  'no-principal':
    "the request is somebody's, and `by` found no text or number to call them by; see httpCache.principal",
  'no-context': 'the cache is kept by a context this request does not have, or that is no text and no number',
  'set-cookie': 'the answer sets a cookie, which is meant for one client',
  'answer-vary': 'the answer varies by a header that `vary` does not name',
  'content-encoding':
    "the answer is encoded; name 'accept-encoding' in `vary`, or leave the encoding to the server",
  'too-large': 'the body is larger than httpCache.maxBytes',
  'unless-arguments': '`unless` of a route is given the result of the handler and nothing else',
  stream: 'the answer is a stream, or was not sent through Nest',
};

/** Where the answer of a request is kept. */
export interface Home {
  readonly key: AnswerKey;
  readonly tags: readonly string[];
  /** Answers of this request are not stored, though it may be given one. */
  readonly readOnly: Refusal | undefined;
  readonly personal: boolean;
}

/** What the head of a request says about itself: where it came in, and what its headers are about. */
export interface Arrival {
  readonly origin: string;
  readonly subjects: Subjects;
}

/** What is asked for, and whether that is said with parameters that do not count. */
interface Target {
  readonly target: readonly (string | number)[];
  readonly others: boolean;
}

/** What is in a key besides the route. */
interface KeyFacts {
  readonly segments: readonly string[];
  readonly origin: string;
  readonly target: Target['target'];
  readonly principal: readonly string[] | undefined;
}

export type Verdict = { readonly refusal: Refusal } | { readonly home: Home };

const ANONYMOUS = 'anonymous';
const NOT_MODIFIED = 304;
const SHARED = Object.freeze({ principal: undefined });

export class AnswerPolicy {
  readonly #settings: ResolvedHttpCache;
  readonly #targets = new Targets();
  readonly #plainKeys = new PlainKeys();
  readonly #telling: TellingHeaders;
  readonly #origins = new Origins();

  constructor(settings: ResolvedHttpCache) {
    this.#settings = settings;
    this.#telling = new TellingHeaders(settings.credentialHeaders);
  }

  arrivalOf(exchange: Exchange): Arrival {
    const subjects = this.#telling.of(exchange.raw.headers);
    return { subjects, origin: this.#origins.of(exchange, saysSomething(subjects, 'origin')) };
  }

  judge(exchange: Exchange, question: CachedRoute, { origin, subjects }: Arrival): Verdict {
    if (saysSomething(subjects, 'override')) return { refusal: 'override-header' };
    if (saysSomething(subjects, 'precondition')) return { refusal: 'precondition' };
    const context = contextOf(exchange, question);
    if (context === undefined) return { refusal: 'no-context' };
    const credentials = saysSomething(subjects, 'credentials') || this.#hasCredentials(exchange, subjects);
    const who = this.#whose(exchange, question, { credentials, namesUser: context.namesUser });
    if ('refusal' in who) return who;
    const { target, others } = this.#targetOf(exchange, question);
    const { segments } = context;
    const key = this.#keyOf(exchange, question, { segments, origin, target, principal: who.principal });
    const noStore =
      saysSomething(subjects, 'directives') && requestDirectives(exchange.raw.headers).has('no-store');
    const readOnly = noStore ? 'request-no-store' : others ? 'unlisted-query' : undefined;
    const personal = who.principal !== undefined || context.namesUser;
    return { home: { key, tags: context.tags, readOnly, personal } };
  }

  /** Judged when the bytes are known and before they are written. */
  refuses(exchange: Exchange, question: RouteQuestion, sent: Sent): Refusal | undefined {
    const { statuses = [200, 203, 204], vary = [] } = question.options;
    if (!statuses.includes(sent.status)) return 'status';
    if (exchange.answered('set-cookie') !== undefined) return 'set-cookie';
    const control = directivesOf(textOf(exchange.answered('cache-control')));
    if (control.has('no-store')) return 'answer-no-store';
    if (control.has('no-cache') || control.has('private')) return 'answer-private';
    const encoding = textOf(exchange.answered('content-encoding'));
    const varies = vary.map((name) => name.toLowerCase());
    if (encoding !== '' && encoding !== 'identity' && !varies.includes('accept-encoding'))
      return 'content-encoding';
    return lengthOf(sent.body) > this.#settings.maxBytes ? 'too-large' : undefined;
  }

  /** What only the head tells that was really written: session libraries and `onSend` hooks are late. */
  refusesWritten(exchange: Exchange, sent: Sent): Refusal | undefined {
    if (exchange.answered('set-cookie') !== undefined) return 'set-cookie';
    const { status } = exchange;
    // The client had the answer already, which says nothing about the answer.
    return status === sent.status || status === NOT_MODIFIED ? undefined : 'status';
  }

  #keyOf(exchange: Exchange, { route, options }: CachedRoute, facts: KeyFacts): AnswerKey {
    const { segments, origin, target, principal } = facts;
    const { vary = [] } = options;
    const [first] = target;
    if (
      typeof first === 'string' &&
      target.length === 1 &&
      segments.length === 0 &&
      vary.length === 0 &&
      principal === undefined
    ) {
      return this.#plainKeys.of(route, origin, first);
    }
    const key = [...segments, 'http', route, origin, ...target];
    if (vary.length > 0) {
      const names = vary.map((name) => name.toLowerCase());
      key.push(varyingBy(exchange, names));
    }
    if (principal !== undefined) key.push('by', ...principal);
    return key;
  }

  /** A URL that was rewritten on its way counts as it came and as it was routed: parameters are read from the latter. */
  #targetOf({ url, raw }: Exchange, { key, options: { query } }: CachedRoute): Target {
    const asked = counting(url, query);
    if (key !== undefined) return { target: partsOf(key), others: asked.others };
    const target = [this.#targets.of(asked.url)];
    if (raw.url === undefined || raw.url === url) return { target, others: asked.others };
    const routed = counting(raw.url, query);
    target.push('as', this.#targets.of(routed.url));
    return { target, others: asked.others || routed.others };
  }

  #whose(
    { request }: Exchange,
    { options: { by } }: CachedRoute,
    { credentials, namesUser }: { credentials: boolean; namesUser: boolean },
  ): { readonly refusal: Refusal } | { readonly principal: readonly string[] | undefined } {
    if (by === 'everyone') return SHARED;
    const principal =
      typeof by === 'function' ? nameOf(by(request as never)) : this.#settings.principal(request);
    if (by === undefined) {
      if (namesUser) return SHARED;
      return credentials || principal !== undefined ? { refusal: 'credentials' } : SHARED;
    }
    if (principal === NAMELESS) return { refusal: 'no-principal' };
    if (principal !== undefined) return { principal: ['user', principal] };
    return credentials ? { refusal: 'no-principal' } : { principal: [ANONYMOUS] };
  }

  /** By cookies; headers have been looked at. */
  #hasCredentials({ raw: { headers } }: Exchange, subjects: Subjects): boolean {
    if (!saysSomething(subjects, 'cookies')) return false;
    const { credentialCookies } = this.#settings;
    if (credentialCookies === 'any') return true;
    const pairs = headers.cookie?.split(';') ?? [];
    return pairs.some((pair) => credentialCookies.has((pair.split('=')[0] ?? '').trim()));
  }
}

/** Said by what allows origins and what compresses: neither chooses between bodies that are stored. */
const CHOOSE_NO_BODY: ReadonlySet<string> = new Set(['origin', 'accept-encoding']);

/** Names in `Vary` that the key does not know. Those that choose no body count when the handler adds them. */
export function undeclaredVary(
  before: string,
  after: string,
  declared: readonly string[],
): readonly string[] {
  const harmless = namesIn(before).filter((name) => CHOOSE_NO_BODY.has(name));
  const known = new Set([...harmless, ...declared.map((name) => name.toLowerCase())]);
  return namesIn(after).filter((name) => !known.has(name));
}

/** What `unless` of the route says of the handler's result. */
export function exception({ options }: RouteQuestion, result: unknown): Refusal | undefined {
  const unless = options.unless as ((result: unknown, ...args: unknown[]) => boolean) | undefined;
  if (unless === undefined) return undefined;
  // Nobody may be told less than they ask for, and of many values none is the result.
  if (unless.length > 1 || isObservable(result)) return 'unless-arguments';
  return unless(result) ? 'unless' : undefined;
}

export function namesIn(list: string): readonly string[] {
  return list
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
}

export function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(', ');
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function contextOf(
  exchange: Exchange,
  question: CachedRoute,
): ReturnType<RouteQuestion['within']> | undefined {
  try {
    return question.within(exchange.request);
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'code') === 'CACHE_CONTEXT_MISSING') return undefined;
    throw error;
  }
}

function counting(url: string, query: readonly string[] | undefined): { url: string; others: boolean } {
  return query === undefined ? { url, others: false } : onlyParameters(url, query);
}

function partsOf(key: NonNullable<RouteQuestion['key']>): readonly (string | number)[] {
  return typeof key === 'string' ? key.split(':') : key;
}
