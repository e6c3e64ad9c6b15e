/**
 * Which routes are answered at the door, before middleware, guards and interceptors, and under which URLs. A route is
 * known by the URLs under which it has answered the long way; where anything else than URL, host and headers of the key
 * could have a say in the answer, the door stays shut and the log says why.
 */
import type { CachedRoute, RouteQuestion } from '../cache/index.js';
import type { AnswerPolicy, Arrival, Home } from './answer-policy.js';
import type { Exchange } from './exchange.js';
import { exchangeOf } from './platform-exchange.js';
import { isStoredAnswer } from './stored-answer.js';
import type { StoredReplies } from './stored-reply.js';

/** A guard or a middleware, as Nest knows it. */
export type Bystander = abstract new (...args: never) => object;

export interface DoorRules {
  /** Whom a hit may pass by. */
  readonly past: readonly Bystander[];
  /** Of the whole application: classes, or instances of them. */
  readonly guards: () => readonly unknown[];
  /** What would run behind the door for that URL. */
  readonly middleware: (url: string) => readonly unknown[];
  /** One URL may stand for several versions of a route. */
  readonly hasVersionsBesideUrl: () => boolean;
}

export interface DoorParts {
  readonly policy: AnswerPolicy;
  readonly replies: StoredReplies;
  readonly warn: (message: string) => void;
  /** Requests that are answered in another way. */
  readonly isLeftAside: (exchange: Exchange) => boolean;
}

interface GuardedContext {
  getHandler(): object;
  getClass(): object;
}

/** Nest's own name for what `@UseGuards` leaves behind. */
const GUARDS = '__guards__';
/** Clients choose them. */
const MOST_URLS = 2_000;
const MOST_ORIGINS = 20;
const LONGEST_URL = 500;
const PLAIN = Object.freeze({ segments: [], tags: [], namesUser: false });

/** A way in: by one URL, at one origin, through one route of the platform. */
interface Way {
  readonly route: CachedRoute;
  readonly platformRoute: unknown;
}

export class Door {
  readonly #parts: DoorParts;
  /** By class and handler, for names are not unique. Undefined for those that have to be answered the long way. */
  readonly #routes = new WeakMap<object, WeakMap<object, CachedRoute | undefined>>();
  /** By URL and origin. Undefined where it is not clear, or not allowed, what a request would come to. */
  readonly #ways = new Map<string, Map<string, Way | undefined>>();
  readonly #told = new Set<string>();
  #rules: DoorRules | undefined;

  constructor(parts: DoorParts) {
    this.#parts = parts;
  }

  open(rules: DoorRules): void {
    this.#rules = rules;
  }

  /**
   * Before anything of a route has run: sends what this process holds. `platformRoute` is where the platform would take
   * the request, if it knows by then.
   * @returns whether it has
   */
  answer(request: object, response: object, platformRoute?: unknown): boolean {
    const exchange = exchangeOf(request, response);
    const { raw, url } = exchange;
    const ways = raw.method === 'GET' && raw.url === url ? this.#ways.get(url) : undefined;
    if (ways === undefined || this.#parts.isLeftAside(exchange)) return false;
    const { policy, replies } = this.#parts;
    const arrival = policy.arrivalOf(exchange);
    const way = ways.get(arrival.origin);
    if (way === undefined || way.platformRoute !== platformRoute) return false;
    const { route: question } = way;
    const home = this.#homeOf(exchange, question, arrival);
    const found: unknown = home === undefined ? undefined : question.cache.held(home.key);
    if (home === undefined || !isStoredAnswer(found)) return false;
    exchange.send(replies.of({ exchange, question, home, route: replies.routeOf(question) }, found, 'l1'));
    return true;
  }

  /** Remembers whose URL it is. One that was rewritten on its way may be another route's tomorrow. */
  learn(exchange: Exchange, question: RouteQuestion, { origin }: Arrival): void {
    const { raw, url, request, platformRoute } = exchange;
    if (raw.method !== 'GET' || raw.url !== url || url.length > LONGEST_URL) return;
    const route = this.#routeOf(question, request);
    const known = this.#ways.get(url);
    const way = known?.get(origin);
    if (way !== undefined) {
      if (way.route === route && way.platformRoute === platformRoute) return;
      known?.set(origin, undefined);
      this.#tell(
        question.route,
        'another route answers at one of its URLs, and what chooses is not known there',
      );
      return;
    }
    if (known?.has(origin) === true) return;
    const ways = known ?? new Map<string, Way | undefined>();
    makeRoom(ways, MOST_ORIGINS);
    ways.set(
      origin,
      route !== undefined && this.#isPassable(url, route) ? { route, platformRoute } : undefined,
    );
    if (known !== undefined) return;
    makeRoom(this.#ways, MOST_URLS);
    this.#ways.set(url, ways);
  }

  #isPassable(url: string, { route }: CachedRoute): boolean {
    const obstacle = this.#passedBy(this.#rules?.middleware(url) ?? []);
    if (obstacle !== undefined) this.#tell(route, obstacle);
    return obstacle === undefined;
  }

  #homeOf(exchange: Exchange, question: CachedRoute, arrival: Arrival): Home | undefined {
    try {
      const verdict = this.#parts.policy.judge(exchange, question, arrival);
      return 'refusal' in verdict || verdict.home.readOnly !== undefined ? undefined : verdict.home;
    } catch {
      // A principal that only guards make known, say: whatever it is, it is told in its place.
      return undefined;
    }
  }

  #routeOf(question: RouteQuestion, request: object): CachedRoute | undefined {
    const context = question.context as GuardedContext;
    const handler = context.getHandler();
    const ofClass = this.#routes.get(context.getClass()) ?? new WeakMap<object, CachedRoute | undefined>();
    if (ofClass.has(handler)) return ofClass.get(handler);
    const { route, cache, options, load } = question;
    const obstacle = this.#obstacleOf(question, request);
    if (obstacle !== undefined) this.#tell(route, obstacle);
    const known =
      obstacle === undefined
        ? { route, cache, options, load, key: undefined, within: () => PLAIN }
        : undefined;
    this.#routes.set(context.getClass(), ofClass.set(handler, known));
    return known;
  }

  #obstacleOf(question: RouteQuestion, request: object): string | undefined {
    if (this.#rules === undefined) return 'nobody stands there; call answerAtDoor(app) before app.listen()';
    if (this.#rules.hasVersionsBesideUrl()) return 'the version of a route is not in its URL';
    const { segments, namesUser } = question.within(request);
    if (segments.length > 0 || namesUser) return 'its cache is kept by a context, which nobody knows there';
    const context = question.context as GuardedContext;
    const own = [...guardsOn(context.getClass()), ...guardsOn(context.getHandler())];
    return this.#passedBy([...this.#rules.guards(), ...own]);
  }

  /** What is to be said of the first who would not be asked, and has to be. */
  #passedBy(bystanders: readonly unknown[]): string | undefined {
    const past = this.#rules?.past ?? [];
    const asked = bystanders.map(classOf).find((one) => !past.includes(one));
    if (asked === undefined) return undefined;
    const name = asked.name === '' ? 'a class without a name' : asked.name;
    return `${name} would not be asked; name it in answerAtDoor(app, { past: [${name}] }) if it need not be`;
  }

  /** Once: whoever expects a hit there should learn why there is none. */
  #tell(route: string, obstacle: string): void {
    const line = `${route} is not answered at the door: ${obstacle}`;
    if (this.#told.has(line)) return;
    this.#told.add(line);
    this.#parts.warn(line);
  }
}

/** The oldest leaves. */
function makeRoom(known: Map<string, unknown>, most: number): void {
  if (known.size < most) return;
  const [oldest] = known.keys();
  if (oldest !== undefined) known.delete(oldest);
}

function guardsOn(target: object): readonly unknown[] {
  return (Reflect.getMetadata(GUARDS, target) ?? []) as readonly unknown[];
}

function classOf(one: unknown): Bystander {
  return (typeof one === 'function' ? one : (one as object).constructor) as Bystander;
}
